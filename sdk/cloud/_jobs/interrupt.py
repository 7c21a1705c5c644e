"""What is said of jobs whose wait is stopped, by Ctrl-C or as the server is away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import ranges
from picloud_model.ranges import Range, format_jids

from cloud._arguments.jids import unfinished_jids

if TYPE_CHECKING:
    from cloud.errors import CloudConnectionError

_SHOWN: Final = 3
"""How many ranges of jobs an error names."""


def unreached(error: CloudConnectionError, open_: Sequence[Range]) -> CloudConnectionError:
    """Return the error of a wait that has lost its server, with the jobs that it waited for.

    Args:
        error: What the last request raised.
        open_: The jids of jobs that are not known to have ended.

    >>> error = cloud.CloudConnectionError("The server stopped answering.")
    >>> str(unreached(error, [(7, 9), (12, 12)]))
    'The server stopped answering. Not known to have ended: jobs 7-9,12.'
    """
    names = ",".join(format_jids(range(first, last + 1)) for first, last in open_[:_SHOWN])
    more = f" and {len(open_) - _SHOWN:,} more ranges" if len(open_) > _SHOWN else ""
    noun = "job" if ranges.count(open_) == 1 else "jobs"
    text = f"{str(error).rstrip('.')}. Not known to have ended: {noun} {names}{more}."
    return type(error)(text, unfinished_jids(open_), retry=error.retry, code=error.code)


class StoppedWait(msgspec.Struct, frozen=True):
    """A wait for jobs that its user stopped; as text, what goes on and how to reach it.

    Args:
        jids: The jids that were waited for.
        open_: Those of jobs that have not ended.
        simulator_of: The module that reaches their server, if that ends with this program.
    """

    jids: Sequence[int]
    open_: Sequence[Range]
    simulator_of: str | None = None

    def __str__(self) -> str:
        module = self.simulator_of or "cloud"
        jids: object = "jids"
        if len(self.jids) == 1:
            jids = self.jids[0]
        elif isinstance(self.jids, range):
            jids = self.jids
        return self.text(f"{module}.result({jids})", f"{module}.kill({jids})")

    def text(self, result: str, kill: str) -> str:
        """Return what goes on, with the call or command that waits again, and that ends the jobs.

        >>> StoppedWait(range(7, 10), [(8, 9)]).text("`picloud result 7-9`", "`picloud kill 7-9`")
        'Jobs 8-9 go on; `picloud result 7-9` waits again, `picloud kill 7-9` ends them.'
        """
        until = " until this program ends" if self.simulator_of else ""
        if len(self.jids) == 1:
            return f"Job {self.jids[0]} goes on{until}; {result} waits again, {kill} ends it."
        count = ranges.count(self.open_)
        if len(self.open_) == 1 and count > 1:
            which = f"Jobs {self.open_[0][0]}-{self.open_[0][1]} go on"
        else:
            which = f"{count:,} of {len(self.jids):,} jobs {'goes' if count == 1 else 'go'} on"
        return f"{which}{until}; {result} waits again, {kill} ends them."


def interrupted(
    order: Sequence[int], open_: Sequence[Range], *, simulator_of: str | None = None
) -> KeyboardInterrupt:
    """Return the exception for a wait that its user stopped; its argument is a `StoppedWait`.

    >>> str(interrupted(range(7, 10), [(8, 9)]))
    'Jobs 8-9 go on; cloud.result(range(7, 10)) waits again, cloud.kill(range(7, 10)) ends them.'
    """
    return KeyboardInterrupt(StoppedWait(order, open_, simulator_of))
