"""A release: the wheel, the source archive, their list of components, and digests to sign.

    make release                      # into dist/
    make release SIGN_WITH=~/.ssh/id  # and signed with that SSH key

The files depend on the commit alone: everything is built twice, from two copies of the commit in
different directories, and the two must be equal to the byte.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = "constraints.txt"
COMPONENTS = "picloud.cdx.json"
DIGESTS = "SHA256SUMS"
NAMESPACE = "picloud-release"
UV = (sys.executable, "-m", "uv", "--quiet")


def main() -> None:
    """Build a release of the current commit."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="directory to write to")
    parser.add_argument("--sign-with", type=Path, help="private SSH key that signs the digests")
    parser.add_argument("--commit", default="HEAD", help="what to build")
    given = parser.parse_args()
    files = release(given.commit, given.into)
    if given.sign_with:
        files.append(sign(given.into / DIGESTS, given.sign_with))
    for file in files:
        print(file)


def release(commit: str, into: Path) -> list[Path]:
    """Write all files of a release and return their paths.

    Args:
        commit: What to build. Changes that are not committed are refused.
        into: The directory for the files; it is emptied first.

    Raises:
        SystemExit: When there are uncommitted changes, or two builds differ.
    """
    if commit == "HEAD" and git("status", "--porcelain"):
        sys.exit("error: there are changes that are not committed: commit them, then make release")
    with tempfile.TemporaryDirectory() as name:
        first, second = (built(commit, Path(name) / copy) for copy in ("a", "a-longer-path"))
        one, other = ({file.name: digest(file) for file in files} for files in (first, second))
        differing = sorted(dict(one.items() ^ other.items()))
        if differing:
            sys.exit(f"error: {' and '.join(differing)} differ between two builds of one commit")
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        files = [Path(shutil.copy(file, into)) for file in first]
        files.append(components(files, Path(name), into / COMPONENTS))
    digests = into / DIGESTS
    digests.write_text("".join(f"{digest(file)}  {file.name}\n" for file in sorted(files)))
    return [*files, digests]


def git(*arguments: str) -> bytes:
    """Return what a git command prints."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def built(commit: str, folder: Path) -> list[Path]:
    """Return the wheel and the source archive of a commit, built from a copy in `folder`."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit))) as archive:
        archive.extractall(folder / "source", filter="data")
    epoch = git("show", "--no-patch", "--format=%ct", commit).decode().strip()
    return build(folder / "source", folder / "dist", epoch)


def build(source: Path, into: Path, epoch: str, *kinds: str) -> list[Path]:
    """Build a source tree and return the paths of what was built.

    Args:
        source: The tree. Files that are not part of a commit are built, too.
        into: The directory for the files.
        epoch: The time of all files within the archives, in seconds since 1970.
        kinds: `--wheel` or `--sdist`; both when there is none.
    """
    subprocess.run(
        [*UV, "build", *kinds, "--build-constraint", CONSTRAINTS, "--out-dir", str(into)],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": epoch},
        check=True,
    )
    return sorted(file for file in into.iterdir() if file.name.startswith("picloud"))


def components(files: list[Path], folder: Path, into: Path) -> Path:
    """Write what an installation of the wheel with every extra consists of, as CycloneDX."""
    wheel = next(file for file in files if file.suffix == ".whl")
    python = folder / "installed" / "bin" / "python"
    install = [*UV, "pip", "install", "--python", str(python), "--constraint", CONSTRAINTS]
    describe = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    for command in (
        [*UV, "venv", str(folder / "installed")],
        [*install, f"picloud[all] @ {wheel.as_uri()}"],
        [*describe, "--pyproject", "pyproject.toml", "--output-file", str(into), str(python)],
    ):
        subprocess.run(command, cwd=ROOT, check=True)
    listed = json.loads(into.read_text())
    listed["components"] += scripts()
    into.write_text(json.dumps(listed, indent=2, sort_keys=True) + "\n")
    return into


def scripts() -> list[dict[str, str]]:
    """Return the components of the web pages, which no Python package names."""
    shipped = runpy.run_path(str(ROOT / "api" / "vendored.py"))["SHIPPED"]
    return [
        {
            "bom-ref": f"{package.name}@{package.version}",
            "name": package.name,
            "purl": f"pkg:npm/{package.name.replace('@', '%40')}@{package.version}",
            "type": "library",
            "version": package.version,
        }
        for package in shipped
    ]


def digest(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def sign(digests: Path, key: Path) -> Path:
    """Sign the digests with an SSH key and return the path of the signature."""
    signature = digests.with_name(f"{digests.name}.sig")
    signature.unlink(missing_ok=True)
    command = ["ssh-keygen", "-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key), str(digests)]
    subprocess.run(command, check=True)
    return signature


if __name__ == "__main__":
    main()
