"""Grants: an administrator makes them, each once, and may end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from picloud_api.usecases.accounts.account import Holder
from picloud_model.errors import AdministratorsOnly, GrantNotFound, NotFound, RequestRefused
from picloud_model.wire.grant import EndGrantRequest, GrantRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.budgets import DAY, OWNER

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

STRANGER = Holder("a0000002", "0" * 12)


def _request(**fields: Any) -> GrantRequest:
    chosen = {"account": ACCOUNT, "until": "1970-12-31", "request_id": "0" * 32, **fields}
    if "core_hours" not in chosen:
        chosen.setdefault("dollars", 5.0)
    return GrantRequest(**chosen)


async def test_a_grant_is_made_once(api: ApiHarness) -> None:
    """A repeated request returns what the first one made, also after kill -9 of the server."""
    grants = api.use_cases.accounts.grants
    made = await grants.grant(OWNER, _request(note="academic"))
    await api.stop()
    await api.start()
    grants = api.use_cases.accounts.grants

    assert await grants.grant(OWNER, _request(note="academic")) == made
    second = await grants.grant(OWNER, _request(request_id="1" * 32))

    assert (made.id, made.since, made.until, made.note) == (
        1,
        "1970-01-01",
        "1970-12-31",
        "academic",
    )
    assert (await grants.list(ACCOUNT)).grants == [made, second]


async def test_only_administrators_grant(api: ApiHarness) -> None:
    """Others may list their own; an account that does not exist is named."""
    grants = api.use_cases.accounts.grants

    with pytest.raises(AdministratorsOnly):
        await grants.grant(STRANGER, _request())
    with pytest.raises(AdministratorsOnly):
        await grants.end(STRANGER, EndGrantRequest(account=ACCOUNT, grant=1))
    with pytest.raises(AdministratorsOnly):
        await grants.account(STRANGER, ACCOUNT)
    with pytest.raises(NotFound, match="There is no account 'a9'"):
        await grants.grant(OWNER, _request(account="a9"))
    assert await grants.account(STRANGER, None) == STRANGER.account


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"core_hours": 1.0, "dollars": 1.0}, "either dollars or core hours"),
        ({"core_type": "c1"}, "A grant of dollars is for every core type."),
        ({"core_hours": 1.0, "core_type": "c9"}, "There is no core type 'c9'; there are c1, "),
        ({"until": "1970-02-30"}, "'1970-02-30' is not a day."),
        ({"until": "1969-12-31"}, "cannot be over; today it is 1970-01-01"),
    ],
)
async def test_wrong_grants_are_refused(
    api: ApiHarness, fields: dict[str, object], message: str
) -> None:
    """Nothing is stored."""
    grants = api.use_cases.accounts.grants

    with pytest.raises(RequestRefused, match=message):
        await grants.grant(OWNER, _request(**fields))

    assert (await grants.list(ACCOUNT)).grants == []


async def test_a_grant_may_end_early(api: ApiHarness) -> None:
    """Today is its last day then; one that has ended stays as it is."""
    grants = api.use_cases.accounts.grants
    await grants.grant(OWNER, _request())
    api.now += 2 * DAY
    end = EndGrantRequest(account=ACCOUNT, grant=1)

    ended = await grants.end(OWNER, end)

    assert ended.until == "1970-01-03"
    api.now += 5 * DAY
    assert await grants.end(OWNER, end) == ended
    with pytest.raises(GrantNotFound, match=f"The account {ACCOUNT} has no grant 2"):
        await grants.end(OWNER, EndGrantRequest(account=ACCOUNT, grant=2))


async def test_free_core_hours_are_listed_since_their_day(api: ApiHarness) -> None:
    """Twenty hours of a c1, unless the list of prices says something else."""
    assert [
        each.core_hours for each in (await api.use_cases.accounts.grants.list(ACCOUNT)).free
    ] == [{"c1": 20.0}]
