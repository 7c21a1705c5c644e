"""Profiles: the file with the URLs of servers and the API keys for them.

    default = "local"

    [profiles.local]
    url = "http://127.0.0.1:8787"
    key = "pk_..."

API keys are bearer credentials, so only the owner of the file may read it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import platformdirs

from cloud.errors import CloudException, CloudValueError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from cloud._config.settings import ClientSettings

_LOCK_S: Final = 10.0
"""How long a process waits for another one that writes profiles; that takes milliseconds."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


class Profile(msgspec.Struct, frozen=True):
    """A server and the API key for it. The key is not in the `repr`."""

    url: str
    key: str

    def __repr__(self) -> str:
        return f"Profile(url={self.url!r})"


class Profiles(msgspec.Struct, frozen=True):
    """The content of the file: profiles by name, and the name of the default profile."""

    profiles: dict[str, Profile] = {}
    default: str | None = None

    def chosen(self, name: str | None) -> Profile | None:
        """Return the profile with this name, or the default one; None if there is none.

        Raises:
            CloudException: When there is no profile with this name.
        """
        chosen = name or self.default
        return None if chosen is None else self.named(chosen)

    def named(self, name: str) -> Profile:
        """Return the profile with this name.

        Raises:
            CloudException: When there is none.
        """
        if name not in self.profiles:
            known = ", ".join(sorted(self.profiles)) or "none"
            raise CloudException(f"There is no profile {name!r}; there are: {known}.")
        return self.profiles[name]


def path(settings: ClientSettings) -> Path:
    """Return the path of the file."""
    root = settings.config_dir or platformdirs.user_config_dir("picloud", appauthor=False)
    return Path(root) / "profiles.toml"


def read(file: Path) -> Profiles:
    """Read the profiles; if there is no file there are none.

    Raises:
        CloudException: When the file cannot be read or is malformed, or others may write to it.
    """
    import tomllib  # noqa: PLC0415 - help pages, and clients with an address, read no profiles

    try:
        _refuse_foreign(file)
        return msgspec.convert(tomllib.loads(file.read_text("utf-8")), Profiles)
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise CloudException(
            f"The profiles in {file} cannot be read: {error}. Correct the file, or remove it "
            "and run `picloud up` or `picloud setup`, which write it."
        ) from error


def _refuse_foreign(file: Path) -> None:
    """Refuse a file that other users may write to: they choose the server, which runs their code.

    Raises:
        CloudException: When they may.
    """
    if os.name == "posix" and file.stat().st_mode & stat.S_IWOTH:
        raise CloudException(
            f"Every user of this machine may write to {file}, and so choose the server that your "
            f"jobs are sent to: check what it says, and run `chmod 600 {file}`."
        )


def check_name(name: str) -> None:
    """Check that a text can be the name of a profile.

    Raises:
        CloudException: When it contains other characters or is too long.

    >>> check_name("work-2")
    """
    if not _NAME.fullmatch(name):
        raise CloudValueError(
            f"{name!r} is not a valid profile name: use letters, digits, - and _, 40 at most."
        )


def write(file: Path, name: str, profile: Profile, *, default: bool = True) -> None:
    """Add or replace one profile, atomically.

    Only the owner of the file may read it, as it contains keys.

    Raises:
        CloudException: When the name or a value has characters that the file cannot contain, or
            the file cannot be written.
    """
    check_name(name)
    with _exclusive(file):
        current = read(file)
        profiles = {**current.profiles, name: profile}
        _replace(file, Profiles(profiles, name if default else current.default))


def use(file: Path, name: str) -> Profile:
    """Make a profile the default one, and return it.

    Raises:
        CloudException: When there is no profile with this name, or the file cannot be written.
    """
    with _exclusive(file):
        current = read(file)
        profile = current.named(name)
        _replace(file, Profiles(current.profiles, name))
    return profile


def remove(file: Path, name: str) -> Profile:
    """Remove a profile, and return it. If it was the default one, there is no default then.

    Raises:
        CloudException: When there is no profile with this name, or the file cannot be written.
    """
    with _exclusive(file):
        current = read(file)
        profile = current.named(name)
        profiles = {other: each for other, each in current.profiles.items() if other != name}
        _replace(file, Profiles(profiles, None if current.default == name else current.default))
    return profile


def _exclusive(file: Path) -> AbstractContextManager[None]:
    """Let one process at a time read and write the file, so that no profile is lost."""
    from cloud._config.file_lock import file_lock  # noqa: PLC0415 - scripts only read profiles

    return file_lock(str(file), _LOCK_S)


def _replace(file: Path, profiles: Profiles) -> None:
    text = _toml(profiles)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".profiles-")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            Path(temporary).replace(file)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CloudException(f"Cannot write {file}: {error.strerror}.") from error


def _toml(profiles: Profiles) -> str:
    lines = [f"default = {_string(profiles.default)}"] if profiles.default else []
    for name, profile in sorted(profiles.profiles.items()):
        lines += ["", f"[profiles.{_key(name)}]"]
        lines += [f"url = {_string(profile.url)}", f"key = {_string(profile.key)}"]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    if not text.isprintable() or not text.isascii():
        raise CloudValueError("A profile takes printable ASCII characters only.")
    return json.dumps(text)  # a JSON string of printable ASCII is a TOML string
