"""What is said of jobs whose wait is stopped, by Ctrl-C or as the server is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model import ranges
from picloud_model.ranges import format_jids

from cloud._arguments.jids import unfinished_jids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.ranges import Range

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


def interrupted(
    order: Sequence[int], open_: Sequence[Range], *, simulator_of: str | None = None
) -> KeyboardInterrupt:
    """Return the exception for a wait that its user stopped.

    Args:
        order: The jids that were waited for.
        open_: Those of jobs that have not ended.
        simulator_of: The module that reaches their server, if that ends with this program.

    >>> interrupted(range(7, 10), [(8, 9)])
    KeyboardInterrupt('Jobs 8-9 go on; cloud.result(range(7, 10)) waits again, \
cloud.kill(range(7, 10)) ends them.')
    """
    module, until = simulator_of or "cloud", " until this program ends" if simulator_of else ""
    if len(order) == 1:
        jid = order[0]
        return KeyboardInterrupt(
            f"Job {jid} goes on{until}; {module}.result({jid}) waits again, "
            f"{module}.kill({jid}) ends it."
        )
    jids = repr(order) if isinstance(order, range) else "jids"
    count = sum(last - first + 1 for first, last in open_)
    if len(open_) == 1 and count > 1:
        which = f"Jobs {open_[0][0]}-{open_[0][1]} go on"
    else:
        which = f"{count:,} of {len(order):,} jobs {'goes' if count == 1 else 'go'} on"
    return KeyboardInterrupt(
        f"{which}{until}; {module}.result({jids}) waits again, {module}.kill({jids}) ends them."
    )
