"""The environment of `_env='auto'`: what the program's project locks, or what is installed here."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_model.pack import PYTHON
from picloud_model.wire.environment import OWN_BASES, Recipe

from cloud._config.border import warn
from cloud._resources.environment import EnvironmentClient
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud._http.transport import Transport

_PREFIX: Final = "auto-"
_FOLDERS: Final = ("site-packages", "dist-packages")
_INFO: Final = ".dist-info"
_NOT_TAKEN: Final = frozenset(("picloud", "pip", "setuptools", "wheel", "uv"))
"""What each environment has in its own way, or what no job needs."""
_LOCKS: Final = ("uv.lock", "pylock.toml")
_DIGITS: Final = 12
_SHOWN: Final = 5


class InstalledHere(NamedTuple):
    """The installed distributions: requirements that pin them, and names that travel with none."""

    pip: list[str]
    left_out: list[str]


def installed_here(path: Sequence[str] | None = None) -> InstalledHere:
    """Return what is installed.

    An editable installation is in neither list: its modules are the user's own, and travel with
    each job. The names of directories are read and few files, so that this takes milliseconds.

    Args:
        path: The directories in which modules are found; `sys.path` by default.
    """
    pip: dict[str, str] = {}
    left_out: list[str] = []
    seen: set[str] = set()
    for folder in sys.path if path is None else path:
        if os.path.basename(folder) not in _FOLDERS or not os.path.isdir(folder):  # noqa: PTH119, PTH112
            continue
        for entry in sorted(os.listdir(folder)):  # noqa: PTH208 - only names are needed
            name, _, version = entry.removesuffix(_INFO).rpartition("-")
            plain = _plain(name)
            if not entry.endswith(_INFO) or not name or plain in seen:
                continue
            # The first one on the path is the one that is imported.
            seen.add(plain)
            requirement = _requirement(Path(folder, entry), name, version)
            if plain in _NOT_TAKEN or requirement is None:
                continue
            if requirement:
                pip[plain] = requirement
            else:
                left_out.append(plain)
    return InstalledHere(sorted(pip.values()), sorted(left_out))


def project_lock(folder: Path) -> Path | None:
    """Return the lock of the project that a directory is part of.

    It is the `uv.lock` or else the `pylock.toml` in the nearest directory upwards that has one; a
    git repository is searched to its root.

    >>> project_lock(Path("/"))
    """
    for each in (folder, *folder.parents):
        for name in _LOCKS:
            if (each / name).is_file():
                return each / name
        if (each / ".git").exists():
            break
    return None


def prepare(transport: Transport) -> str:
    """Return the name of the environment of this program; it is built if it is new.

    Raises:
        CloudException: When it cannot be built; it names the package.
    """
    pip, source = _wanted()
    recipe = Recipe(pip=pip, base=f"{OWN_BASES}python{PYTHON}")
    environments = EnvironmentClient(transport)
    name = f"{_PREFIX}{recipe.digest(PYTHON).rpartition(':')[2][:_DIGITS]}"
    if environments.build(name, recipe, "made for _env='auto'").status != "ready":
        what = f"{len(pip)} package{'s' * (len(pip) != 1)}"
        sys.stderr.write(f"picloud: building the environment {name} with the {what} {source}\n")
        try:
            environments.follow(name, len)
        except CloudException as error:
            advice = "build an environment without that package, and name it in _env"
            raise CloudException(f"{error}; {advice}.") from None
    return name


def _wanted() -> tuple[list[str], str]:
    """Return requirements, and a few words on where they are from."""
    installed = installed_here()
    if installed.left_out:
        shown = ", ".join(installed.left_out[:_SHOWN])
        more = " and others" if len(installed.left_out) > _SHOWN else ""
        warn(
            f"{shown}{more}: installed from files of this machine, so jobs with _env='auto' lack "
            "them. Install them with pip -e to let their modules travel."
        )
    lock = project_lock(_program_folder())
    if lock is not None:
        from cloud._resources.recipe import locked  # noqa: PLC0415 - few have a lock

        try:
            pip = [each for each in locked(lock) if _plain(each) not in _NOT_TAKEN]
        except CloudException as error:
            advice = "Jobs with _env='auto' have the packages that are installed here instead."
            warn(f"{error} {advice}")
        else:
            return sorted(pip), f"of {lock}"
    return installed.pip, "that are installed here"


def _plain(requirement: str) -> str:
    """Return the name in a requirement as package indexes compare it.

    >>> _plain("Zope.Interface==7.0")
    'zope-interface'
    """
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def _program_folder() -> Path:
    """Return where the program is; the working directory for a shell, a notebook or a command."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if not file or Path(sys.prefix) in Path(file).absolute().parents:
        return Path.cwd()
    return Path(file).resolve().parent


def _requirement(folder: Path, name: str, version: str) -> str | None:
    """Return the requirement that pins a distribution, "" for a file of here, None if editable."""
    try:
        origin = json.loads((folder / "direct_url.json").read_text(encoding="utf-8"))
    except OSError:
        return f"{name}=={version}"
    except ValueError:
        return ""
    url = str(origin.get("url", ""))
    if origin.get("dir_info", {}).get("editable"):
        return None
    if commit := origin.get("vcs_info", {}).get("commit_id"):
        return f"{name} @ git+{url}@{commit}" if url.startswith("https://") else ""
    return f"{name} @ {url}" if url.startswith("https://") else ""
