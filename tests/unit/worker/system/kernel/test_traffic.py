"""Traffic: bytes over the network of a slot, without the loopback device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_worker.system.kernel.traffic import Traffic, read

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0
  eth0: 250 5 0 0 0 0 0 0 70 9 0 0 0 0 0 0
  eth1:7 5 0 0 0 0 0 0 3 9 0 0 0 0 0 0
"""


def test_devices_are_added_up(tmp_path: Path) -> None:
    """What stays on the machine does not count; a missing table is unknown, and not 0."""
    (tmp_path / "dev").write_text(TABLE)

    assert read(tmp_path / "dev") == Traffic(257, 73)
    assert read(tmp_path / "missing") is None


def test_this_system_is_read() -> None:
    """The counters only grow."""
    before, after = read(), read()

    assert before is not None
    assert after is not None
    assert min(after.since(before)) >= 0
