"""Messages on a job socket."""

from __future__ import annotations

from picloud_model import wire


def test_a_message_without_jobs_asks_for_a_grant() -> None:
    """With jobs it says that the job is blocked on them."""
    grant = wire.decode(b"{}", wire.JobSocketRequest, wire.JSON)
    blocked = wire.decode(b'{"awaiting":[[1,3]],"timed":true}', wire.JobSocketRequest, wire.JSON)

    assert (grant.awaiting, grant.timed) == (None, False)
    assert (blocked.awaiting, blocked.timed) == ([(1, 3)], True)
