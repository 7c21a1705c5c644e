"""A release: equal files from one commit, locked versions, signed digests."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path
from runpy import run_path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[2]
RELEASE: Final = run_path(str(ROOT / "release" / "build.py"))
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKED: Final = [
    Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line
]
REQUIRED: Final = [
    Requirement(text)
    for texts in (
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
    )
    for text in texts
    if not text.startswith("picloud[")
]


@pytest.mark.parametrize("required", REQUIRED, ids=str)
def test_each_requirement_is_locked_at_a_version_that_satisfies_it(required: Requirement) -> None:
    """After a change of requirements in pyproject.toml, `make lock` writes constraints.txt anew."""
    locked = [each for each in LOCKED if same_name(each, required)]

    assert locked, f"constraints.txt has no {required.name}: run make lock"
    for each in locked:
        (version,) = (specifier.version for specifier in each.specifier)
        assert required.specifier.contains(version), f"{each} does not satisfy {required}"


def same_name(one: Requirement, other: Requirement) -> bool:
    """Tell whether two requirements are of the same package."""
    return canonicalize_name(one.name) == canonicalize_name(other.name)


def test_two_builds_of_one_tree_are_equal(tmp_path: Path) -> None:
    """Neither the directory nor the time of a build is in the wheel; all packages are."""
    wheels = []
    for name in ("a", "another"):
        source = tmp_path / name
        for part in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
            source.mkdir(exist_ok=True)
            shutil.copyfile(ROOT / part, source / part)
        for part in ("sdk", "cli", "api", "driver", "jobspecs"):
            shutil.copytree(
                ROOT / part,
                source / part,
                ignore=shutil.ignore_patterns("__pycache__"),
                copy_function=shutil.copyfile,
            )
        wheels += RELEASE["build"](source, tmp_path / f"{name}-built", "1700000000", "--wheel")

    first, second = wheels
    assert first.read_bytes() == second.read_bytes()
    packages = {Path(folder).name for folder in wheel_packages()}
    with zipfile.ZipFile(first) as wheel:
        assert packages <= {name.partition("/")[0] for name in wheel.namelist()}
        assert {info.date_time[:3] for info in wheel.infolist()} == {(2023, 11, 14)}


def wheel_packages() -> list[str]:
    """Return the directories of the packages of the wheel."""
    packages: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return packages


def test_a_signature_of_the_digests_can_be_verified(tmp_path: Path) -> None:
    """What docs/how-to/release.md tells users to run accepts the digests, and no others."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (tmp_path / "signers").write_text(f"releases@example.org {key.with_suffix('.pub').read_text()}")
    digests = tmp_path / "SHA256SUMS"
    digests.write_text(f"{RELEASE['digest'](key)}  key\n")

    signature = RELEASE["sign"](digests, key)

    page = (ROOT / "docs" / "how-to" / "release.md").read_text()
    (command,) = re.findall(r"ssh-keygen -Y verify[^\n]*", page)
    genuine = digests.read_text()
    for text, accepted in ((genuine, True), (genuine.replace("key", "kex"), False)):
        digests.write_text(text)
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode == 0) is accepted, done
    assert signature.name == "SHA256SUMS.sig"


def test_scripts_of_the_web_pages_are_among_the_components() -> None:
    """The list of components names what the wheel brings along without a Python package."""
    assert "pkg:npm/htmx.org@" in " ".join(each["purl"] for each in RELEASE["scripts"]())
