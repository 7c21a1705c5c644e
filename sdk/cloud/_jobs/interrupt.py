"""What Ctrl-C says during a wait: that the jobs continue, and how to reach them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.ranges import Range


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
