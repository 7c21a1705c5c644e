"""The vendors' programs, found on PATH or in the cache that `make servers` fills."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from collections.abc import Mapping

Version = tuple[int, ...]

_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_ASK_S: Final = 20.0


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A vendor's program, its oldest accepted version, and where to get it."""

    name: str
    oldest: Version
    get: str
    ask: str = "version"

    @property
    def wanted(self) -> str:
        """The required program, for messages."""
        return f"{self.name} {'.'.join(map(str, self.oldest))} or newer"

    def accepts(self, version: str) -> bool:
        """Whether a version is new enough.

        >>> Program(name="vault", oldest=(1, 12, 0), get="").accepts("1.21.0+ent")
        True
        """
        return _version(version) >= self.oldest


def find(program: Program, environment: Mapping[str, str]) -> Path:
    """Return the path of a program: on PATH if new enough, else the newest of the cache.

    Raises:
        StackFault: When it is missing; says how to get it.
    """
    on_path = shutil.which(program.name, path=environment.get("PATH", os.defpath))
    version = version_of(Path(on_path), program.ask) if on_path else ()
    if on_path and version >= program.oldest:
        return Path(on_path)
    for cached, path in sorted(_cached(program, environment), reverse=True):
        if cached >= program.oldest and os.access(path, os.X_OK):
            return path
    shown = ".".join(map(str, version)) or "of no known version"
    old = f" ({on_path} is {shown})" if on_path else ""
    raise StackFault(
        f"{program.wanted} is missing{old}: get it from {program.get}, or "
        "run `make servers` in a checkout of PiCloud."
    )


def version_of(path: Path, ask: str) -> Version:
    """Return the version that a program prints; () if it prints none."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of the user's PATH, no shell
            [path, ask],
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ()
    return _version(done.stdout)


def _cached(program: Program, environment: Mapping[str, str]) -> list[tuple[Version, Path]]:
    root = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/") / ".cache"
    paths = (Path(root) / "picloud" / "servers").glob(f"{program.name}-*")
    return [(_version(path.name), path) for path in paths if path.is_file()]


def _version(text: str) -> Version:
    """Return the first version in a text.

    >>> _version("Consul v1.20.6"), _version("none")
    ((1, 20, 6), ())
    """
    match = _VERSION.search(text)
    return tuple(int(part) for part in match.groups()) if match else ()
