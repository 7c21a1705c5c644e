"""Traffic: how many bytes a slot has received and sent over its network."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

_TABLE: Final = Path("/proc/self/net/dev")
_LOOPBACK: Final = "lo"
_SENT: Final = 8
"""The column of bytes that were sent; that of received ones is the first."""


class Traffic(NamedTuple):
    """Bytes, without those that stayed on the machine."""

    received: int
    sent: int

    def since(self, before: Traffic) -> Traffic:
        """Return what was added after an earlier reading.

        >>> Traffic(5, 7).since(Traffic(2, 3))
        Traffic(received=3, sent=4)
        """
        return Traffic(self.received - before.received, self.sent - before.sent)


def read(table: Path = _TABLE) -> Traffic | None:
    """Return the traffic of this network namespace until now; None where there is no procfs."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()[2:]
    except OSError:
        return None
    received = sent = 0
    for line in lines:
        name, _, columns = line.partition(":")
        if name.strip() != _LOOPBACK:
            counts = columns.split()
            received += int(counts[0])
            sent += int(counts[_SENT])
    return Traffic(received, sent)
