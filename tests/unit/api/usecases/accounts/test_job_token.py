"""Job tokens: good for one attempt, in the hands of who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import TokenRefused
from picloud_model.token import JobToken, slot_key

from tests.unit.api.world import ACCOUNT, ended

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession

    from tests.unit.api.world import World


def token_of(world: World, slot: SlotSession, jid: int, attempt: int = 1) -> str:
    """What a slot signs for a job."""
    key = world.use_cases.accounts.job_tokens.key_for(ACCOUNT, slot.number)
    return JobToken(ACCOUNT, slot.number, jid, attempt).signed(key)


async def test_a_held_attempt_is_recognised(world: World) -> None:
    """While a slot holds a job, what it signs for it speaks for the account and names the job."""
    (jid,) = await world.submit(1)
    slot = await world.slot()
    await world.work(slot)

    caller = await world.use_cases.accounts.accounts.recognise(token_of(world, slot, jid))

    assert caller == (ACCOUNT, jid)


async def test_a_token_ends_with_the_attempt(world: World) -> None:
    """Once the job has ended, or its slot was lost, the token opens nothing."""
    jids = await world.submit(2)
    slot = await world.slot()
    (lease,) = (await world.work(slot)).leases
    (again,) = (await world.work(slot, reports=[ended(lease)])).leases
    first, second = (token_of(world, slot, jid) for jid in jids)
    assert again.jobs[0].index == 1
    assert (await world.use_cases.accounts.accounts.recognise(second)).jid == jids[1]

    await world.lose(slot)

    for token in (first, second):
        with pytest.raises(TokenRefused):
            await world.use_cases.accounts.accounts.recognise(token)


async def test_a_job_that_is_not_held_has_no_token(world: World) -> None:
    """A slot cannot sign for a job it does not hold, nor for one that does not exist."""
    jids = await world.submit(2)
    slot = await world.slot()
    await world.work(slot)

    for jid in (jids[1], 1000):
        with pytest.raises(TokenRefused):
            await world.use_cases.accounts.accounts.recognise(token_of(world, slot, jid))


async def test_a_slot_signs_for_its_own_account_only(world: World) -> None:
    """The key of a slot is derived for its account: with it no other's token can be made."""
    (jid,) = await world.submit(1)
    slot = await world.slot()
    await world.work(slot)
    key = world.use_cases.accounts.job_tokens.key_for("a0000002", slot.number)
    forged = JobToken(ACCOUNT, slot.number, jid, 1).signed(key)

    for text in (forged, "pj_", "pj_" + "x" * 500, forged[:-1]):
        with pytest.raises(TokenRefused):
            await world.use_cases.accounts.accounts.authenticate(text)


async def test_what_a_job_makes_names_it_as_parent(world: World) -> None:
    """`parent` is recorded with the batch."""
    from picloud_api.store import layout

    request = world.request(1)

    await world.use_cases.jobs.submit.submit(ACCOUNT, request, b"f" * 16, parent=7)

    header = await world.server.context.commits.view.get(layout.header(ACCOUNT, request.submit_id))
    ready = await world.server.context.commits.view.get(layout.ready(ACCOUNT, request.submit_id))
    assert (header.parent, ready.parent) == (7, 7)


def test_keys_differ() -> None:
    """Each slot and each account has a key of its own."""
    keys = {slot_key(b"s", account, slot) for account in ("a1", "a2") for slot in (1, 2)}

    assert len(keys) == 4
