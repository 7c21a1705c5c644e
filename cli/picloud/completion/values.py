"""What a shell completes: core types and the other closed lists, and profiles."""

from __future__ import annotations

from cloud import CloudException
from cloud._config import profile
from cloud._config.settings import ClientSettings
from picloud_model.core import CORE_TYPES
from picloud_model.job import State, Status


def core_types(incomplete: str) -> list[tuple[str, str]]:
    """Core types, each with its use.

    >>> core_types("f")
    [('f2', 'well-rounded')]
    """
    return [(name, core.use) for name, core in CORE_TYPES.items() if name.startswith(incomplete)]


def error_policies(incomplete: str) -> list[str]:
    """What may become of a job when one it depends on fails."""
    return [name for name in ("abort", "ignore") if name.startswith(incomplete)]


def statuses(incomplete: str) -> list[tuple[str, str]]:
    """Statuses, each with its meaning; after a comma the next one.

    >>> statuses("done,e")
    [('done,error', 'ended')]
    """
    before, comma, begun = incomplete.rpartition(",")
    final = {state.shown for state in State if state.final}
    return [
        (f"{before}{comma}{status.value}", "ended" if status in final else "not ended")
        for status in Status
        if status.value.startswith(begun)
    ]


def output_formats(incomplete: str) -> list[str]:
    """How data may be printed."""
    return [name for name in ("text", "json") if name.startswith(incomplete)]


def profiles(incomplete: str) -> list[tuple[str, str]]:
    """Profiles, each with its server; none where the file cannot be read."""
    try:
        found = profile.read(profile.path(ClientSettings.read()))
    except CloudException:
        return []
    return [
        (name, each.url) for name, each in found.profiles.items() if name.startswith(incomplete)
    ]
