"""Rate limits of endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.store.rest_record import rate_key
from picloud_api.usecases.rest.call_rate import CallRates, after_call
from picloud_model.errors import TooManyCalls

from tests.unit.api.api_harness import ACCOUNT, ApiHarness
from tests.unit.api.recording_state import RecordingState, SharedRecordingState

if TYPE_CHECKING:
    from tests.unit.api.conftest import StartApi


async def refused(rates: CallRates, label: str, limit: int) -> int:
    """Return after how many seconds a refused call may be repeated; 0 if it is not refused."""
    try:
        await rates.take(ACCOUNT, label, limit)
    except TooManyCalls as error:
        return error.retry_after_s
    return 0


@pytest.fixture(params=[RecordingState, SharedRecordingState])
async def api(request: pytest.FixtureRequest, start_api: StartApi) -> ApiHarness:
    """A server that is alone, or that shares its state store."""
    return await start_api(request.param)


def rates_of(api: ApiHarness) -> CallRates:
    """Return what counts the calls in one of the processes of a server."""
    return CallRates(api.server.context.commits, api.clock)


@pytest.mark.parametrize("limit", [1, 7, 60])
async def test_a_minute_has_as_many_calls_as_the_limit(api: ApiHarness, limit: int) -> None:
    """They may come at once; the next one is refused, and succeeds after the time that is named."""
    rates = rates_of(api)

    assert [await refused(rates, "e", limit) for _ in range(limit)] == [0] * limit
    for _ in range(10):  # a refused call costs nothing
        wait_s = await refused(rates, "e", limit)
        assert 0 < wait_s <= 60 / limit + 1
    assert not await refused(rates, "f", limit)
    api.now += wait_s
    assert not await refused(rates, "e", limit)


async def test_processes_with_one_store_count_together(start_api: StartApi) -> None:
    """All of them together take as many calls as the limit says."""
    api = await start_api(SharedRecordingState)
    several = [rates_of(api) for _ in range(3)]

    taken = [await refused(several[number % 3], "e", 7) for number in range(9)]

    assert taken[:7] == [0] * 7
    assert all(taken[7:])


async def test_a_call_without_a_limit_costs_nothing(start_api: StartApi) -> None:
    """One with a limit costs one transaction, where a store is shared."""
    for kind, most in ((RecordingState, 0), (SharedRecordingState, 1)):
        api = await start_api(kind)
        rates = rates_of(api)
        await rates.take(ACCOUNT, "e", 60)
        before = len(api.state.commits), len(api.state.reads)
        for _ in range(100):
            await rates.take(ACCOUNT, "free", 0)
        assert (len(api.state.commits), len(api.state.reads)) == before
        await rates.take(ACCOUNT, "e", 60)
        assert len(api.state.commits) - before[0] == most
        await api.stop()


def test_a_slow_caller_is_never_refused() -> None:
    """Calls at the rate of the limit go on forever; a clock that is set back costs a minute."""
    free_at, now = 0.0, 100.0
    for _ in range(1000):
        free_at = after_call(free_at, now, 7)
        now += 60 / 7

    with pytest.raises(TooManyCalls, match="in 9 s"):
        after_call(1e9, 0.0, 7)


async def test_endpoints_that_are_idle_are_forgotten(start_api: StartApi) -> None:
    """The counts of thousands of them take bounded memory."""
    api = await start_api()
    rates = rates_of(api)
    for number in range(25_000):
        await rates.take(ACCOUNT, f"e{number}", 60)
        api.now += 0.01

    assert len(rates._free_at) <= 10_000
    assert rate_key(ACCOUNT, "e24999") in rates._free_at
