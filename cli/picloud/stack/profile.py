"""The profile that names a running server, and what it named before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from cloud._config import profile
from cloud._config.profile import Profile
from cloud._config.settings import ClientSettings

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL: Final = "local"
"""The name of the profile if none is given; only this one becomes the default profile."""


class PreviousProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile named before a server took it, and which profile was the default one.

    The record of a server keeps it, so that the end of the server puts both back.
    """

    name: str = USUAL
    profile: Profile | None = None
    default: str | None = None


def previous(name: str) -> PreviousProfile:
    """Return what a profile names now.

    Raises:
        CloudException: When the name is not valid or the profiles cannot be read.
    """
    profile.check_name(name)
    profiles = profile.read(profile.path(ClientSettings.read()))
    return PreviousProfile(name=name, profile=profiles.profiles.get(name), default=profiles.default)


def take(name: str, server: Profile) -> list[str]:
    """Let a profile name a server; return lines that say so, and what it named until now.

    Raises:
        CloudException: When the profile cannot be written.
    """
    file = profile.path(ClientSettings.read())
    profiles = profile.read(file)
    earlier = profiles.profiles.get(name)
    is_default = name == USUAL or profiles.default in (None, name)
    profile.write(file, name, server, default=is_default)
    lines = [f"  profile  {name} in {file}"]
    if earlier and earlier.key != server.key:
        lines.append(f"           It named {earlier.url}, and will again when this server ends.")
    if not is_default:
        lines.append(f"           Use it with: picloud --profile {name}, or PICLOUD_PROFILE={name}")
    return lines


def give_back(
    before: PreviousProfile,
    server: Profile,
    report: Callable[[str], object],
    answers: Callable[[str], bool],
) -> None:
    """Let a profile name again what it named before a server that has ended.

    Nothing happens if the profile names another server by now, or named none before.

    Args:
        before: What the profile named.
        server: The server that has ended.
        report: Called with a line for each change.
        answers: Whether a server answers at a URL. The profile of one that does not is given back,
            too: only it has the key.

    Raises:
        CloudException: When the profile cannot be written.
    """
    file = profile.path(ClientSettings.read())
    profiles = profile.read(file)
    if profiles.profiles.get(before.name) != server:
        return
    if before.profile and before.profile.key != server.key:
        profile.write(file, before.name, before.profile, default=False)
        url = before.profile.url
        gone = "" if answers(url) else ", but no server answers there now"
        report(f"Profile {before.name} names {url} again{gone}.")
    other = before.default or before.name
    if profiles.default == before.name and other in profiles.profiles and other != before.name:
        profile.use(file, other)
        report(f"Profile {other} is the default again.")
