"""Servers come from PATH, from the cache, or from one build; `go` is played by a script here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import build

#: Counts its runs, and writes something executable where the real one puts the server.
GO = """#!/bin/sh
echo run >> "$XDG_CACHE_HOME/runs"
while [ "$1" != -o ]; do shift; done
sleep 0.2
printf '#!/bin/sh\\n' > "$2"
chmod +x "$2"
"""
BROKEN_GO = """#!/bin/sh
echo "no such module"
exit 1
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a machine without servers and without Go, with an empty cache."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(programs))
    # What the scripts need, and nothing else of this machine.
    for name in ("sh", "sleep", "chmod"):
        (programs / name).symlink_to(f"/bin/{name}")
    return programs


def install(programs: Path, name: str, script: str) -> Path:
    """Put a script on PATH."""
    path = programs / name
    path.write_text(script)
    path.chmod(0o755)
    return path


def run(*arguments: str) -> subprocess.Popen[str]:
    """Start the command line."""
    return subprocess.Popen(
        [sys.executable, build.__file__, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_accepted_server_on_path_is_used(desk: Path) -> None:
    """A newer minor release found on PATH is taken as it is."""
    path = install(desk, "consul", "#!/bin/sh\necho Consul v1.22.1\n")

    assert build.ensure("consul") == path


@pytest.mark.parametrize("version", ["v1.9.3", "v2.0.0", "git"])
def test_another_server_on_path_is_left_alone(desk: Path, version: str) -> None:
    """An old one, one of the next major release, and one without a version are not used."""
    install(desk, "consul", f"#!/bin/sh\necho Consul {version}\n")

    assert build.locate("consul") is None


def test_a_server_is_built_once(desk: Path, tmp_path: Path) -> None:
    """The second time it comes from the cache."""
    install(desk, "go", GO)

    paths = [build.ensure("vault") for _ in range(2)]

    assert paths == [tmp_path / "picloud" / "servers" / "vault-1.21.0"] * 2
    assert (tmp_path / "runs").read_text() == "run\n"


def test_two_runs_at_once_build_once(desk: Path, tmp_path: Path) -> None:
    """The second of two runs waits and finds what the first has built."""
    install(desk, "go", GO)

    runs = [run("vault") for _ in range(2)]
    outputs = [one.communicate()[0] for one in runs]

    assert outputs[0] == outputs[1] != ""
    assert (tmp_path / "runs").read_text() == "run\n"


def test_a_failed_build_is_reported(desk: Path, tmp_path: Path) -> None:
    """One sentence, then the end of what the build said; the cache stays without the server."""
    install(desk, "go", BROKEN_GO)

    command = run("vault")
    _, errors = command.communicate()

    assert command.returncode == 1
    assert "vault-1.21.0 could not be built" in errors
    assert errors.endswith("    no such module\n")
    assert build.locate("vault") is None
    assert not list((tmp_path / "picloud" / "servers").glob(".vault*"))


@pytest.mark.usefixtures("desk")
def test_missing_go_is_reported() -> None:
    """Without Go the message says where it comes from, and the other way round it."""
    with pytest.raises(build.BuildError, match=r"go\.dev/dl.* on PATH"):
        build.ensure("nomad")


def test_where_prints_the_path_or_fails(desk: Path) -> None:
    """--where never builds."""
    path = install(desk, "consul", "#!/bin/sh\necho Consul v1.20.0\n")

    assert run("--where", "consul").communicate()[0] == f"{path}\n"
    assert "make servers" in run("--where", "nomad").communicate()[1]


@pytest.mark.parametrize("recipe", build.RECIPES.values(), ids=lambda recipe: recipe.name)
def test_module_pins_the_version_of_the_recipe(recipe: build.Recipe) -> None:
    """What the cache calls a version is the version go.mod names."""
    module = Path(build.__file__).parent / recipe.name / "go.mod"
    root = "/".join(recipe.package.split("/")[:3])

    pinned = re.search(rf"^require {root}(?:/v2)? v(.+)$", module.read_text(), re.MULTILINE)

    assert pinned is not None
    assert pinned[1] == build.VERSIONS[recipe.name]
    assert os.access(module.with_name("go.sum"), os.R_OK)
