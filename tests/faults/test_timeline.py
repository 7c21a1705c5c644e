"""What the campaign prints of kills: the time without any process of the API is reported apart."""

from __future__ import annotations

from tests.faults.kills import Kill, report
from tests.faults.timeline import Timeline


def test_time_without_an_api_is_reported_apart() -> None:
    """It is counted from the death of the last process until the next one serves."""
    now = [100.0]
    timeline = Timeline(lambda: now[0])
    with timeline.fault("kill_all"):
        now[0] = 101.0
        with timeline.down():
            now[0] = 104.0
            assert timeline.down_s(103.0, 104.0) == 1.0  # also while it lasts
        now[0] = 105.0

    assert timeline.down_s(100.0, 110.0) == 3.0
    assert timeline.down_s(102.0, 103.0) == 1.0
    assert timeline.down_s(90.0, 101.0) == timeline.down_s(104.0, 110.0) == 0.0
    assert [fault.what for fault in timeline.near(106.0, 107.0, before_s=2.0)] == ["kill_all"]
    assert timeline.near(106.0, 107.0, before_s=0.5) == []


def test_the_slowest_kill_is_described() -> None:
    """With what happened meanwhile, in seconds since it was acknowledged."""
    now = [100.0]
    timeline = Timeline(lambda: now[0])
    with timeline.fault("kill_api"), timeline.down():
        now[0] = 104.0
    kills = [
        Kill(asked_at=99.5, acknowledged_at=99.75, gone_at=100.0, ended_at=104.5, known_at=104.75),
        Kill(asked_at=110.0, acknowledged_at=110.0, gone_at=110.25, ended_at=0.0, known_at=110.5),
    ]

    assert report(kills, timeline) == (
        "2 kills: nothing runs after 0.25 s (median), 0.25 s (p99), the client knows after 5.00 s "
        "(median), 5.00 s (p99); without the time in which no process of the API lived, nothing "
        "runs after 0.25 s (median), 0.25 s (p99), the client knows after 1.00 s (median), 1.00 s "
        "(p99); the slowest kill: asked for at -0.25, nothing ran at 0.25, the server noted it at "
        "4.75, the client knew at 5.00, kill_api from 0.25 to 4.25"
    )
