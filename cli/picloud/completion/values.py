"""Completion of core types, statuses and other fixed values, and of profiles."""

from __future__ import annotations

import re
from typing import Any, Final

from cloud import CloudException
from cloud._config import profile
from cloud._config.settings import ClientSettings, environment
from picloud_model.core import CORE_TYPES
from picloud_model.info import ALL, InfoKey
from picloud_model.job import State, Status
from picloud_model.wire.usage import SHOWN_GROUPS

PLAIN: Final = re.compile(r"[\w .:/-]+", re.ASCII)
"""Text without special meaning in any shell, but spaces; some shells evaluate completions."""


class _Escaped(str):
    """A value with its spaces escaped; typer compares its beginning with what was typed."""

    __slots__ = ()

    def startswith(self, prefix: str, *bounds: Any) -> bool:  # type: ignore[override]
        return self.replace("\\ ", " ").startswith(prefix, *bounds)


def inserted(value: str) -> str:
    """Return a completion as a shell inserts it: bash needs spaces escaped, if no quote is open.

    Other shells do that themselves.
    """
    variables = environment()
    if variables.get("_PICLOUD_COMPLETE") != "complete_bash":
        return value
    words = variables.get("COMP_WORDS", "").split("\n")
    at = variables.get("COMP_CWORD", "")
    word = words[int(at)] if at.isdecimal() and int(at) < len(words) else ""
    return value if word.startswith(("'", '"')) else _Escaped(value.replace(" ", "\\ "))


def core_types(incomplete: str) -> list[tuple[str, str]]:
    """Complete a core type; each has a description.

    >>> core_types("f")
    [('f2', 'well-rounded')]
    """
    return [(name, core.use) for name, core in CORE_TYPES.items() if name.startswith(incomplete)]


def error_policies(incomplete: str) -> list[str]:
    """Complete what to do with a job if a dependency fails."""
    return [name for name in ("abort", "ignore") if name.startswith(incomplete)]


def statuses(incomplete: str) -> list[tuple[str, str]]:
    """Complete a status, or after a comma the next status of a list.

    >>> statuses("done,e")
    [('done,error', 'ended')]
    """
    before, comma, prefix = incomplete.rpartition(",")
    final = {state.shown for state in State if state.final}
    return [
        (f"{before}{comma}{status.value}", "ended" if status in final else "not ended")
        for status in Status
        if status.value.startswith(prefix)
    ]


def info_keys(incomplete: str) -> list[str]:
    """Complete a key of `picloud info`, or after a comma the next key of a list.

    >>> info_keys("status,run")
    ['status,runtime']
    """
    before, comma, prefix = incomplete.rpartition(",")
    names = [ALL, *(key.value for key in InfoKey)]
    return [f"{before}{comma}{name}" for name in names if name.startswith(prefix)]


def usage_groups(incomplete: str) -> list[str]:
    """Complete what a row of `picloud usage` stands for."""
    return [name for name in SHOWN_GROUPS if name.startswith(incomplete)]


def budget_periods(incomplete: str) -> list[str]:
    """Complete the period of a budget."""
    from picloud_model.wire.budget import BUDGET_PERIODS  # noqa: PLC0415 - one command needs it

    return [name for name in BUDGET_PERIODS if name != "total" and name.startswith(incomplete)]


def budget_actions(incomplete: str) -> list[str]:
    """Complete what happens when a budget is reached."""
    from picloud_model.wire.budget import BUDGET_ACTIONS  # noqa: PLC0415 - as above

    return [name for name in BUDGET_ACTIONS if name.startswith(incomplete)]


def output_formats(incomplete: str) -> list[str]:
    """Complete an output format."""
    return [name for name in ("text", "json") if name.startswith(incomplete)]


def profiles(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a profile; there are none if the file cannot be read."""
    try:
        profiles_ = profile.read(profile.path(ClientSettings.read()))
    except CloudException:
        return []
    return [
        (name, each.url) for name, each in profiles_.profiles.items() if name.startswith(incomplete)
    ]
