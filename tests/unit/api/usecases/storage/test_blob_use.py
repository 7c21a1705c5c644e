"""The use of blobs: what is used again is taken out of the record of what is to be deleted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.storage.blob_use import STALLED_S, BlobUse, Unreferenced, record_key

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft

    from tests.unit.api.api_harness import ApiHarness

ONE, TWO = "0" * 64, "01" * 32
KEY = record_key(ACCOUNT, "0")


async def write(api: ApiHarness, record: Unreferenced) -> None:
    """Store a record."""

    async def plan(draft: Draft) -> None:
        await draft.fresh(KEY)
        draft.put(KEY, record)

    await api.server.context.commits.run(plan)


async def read(api: ApiHarness) -> Unreferenced:
    """Return the record."""
    return await api.server.context.commits.view.fresh(KEY)  # type: ignore[no-any-return]


@pytest.fixture
def use(api: ApiHarness) -> BlobUse:
    """The use of blobs."""
    return BlobUse(api.server.context)


async def test_what_is_used_is_taken_out(api: ApiHarness, use: BlobUse) -> None:
    """Only that; what is in no record changes nothing."""
    await write(api, Unreferenced(digests=(bytes.fromhex(ONE), bytes.fromhex(TWO)), at=api.now))

    await use.keep(ACCOUNT, [ONE, "f" * 64])
    before = api.server.context.commits.transactions
    await use.keep(ACCOUNT, [ONE, "f" * 64])
    await use.keep("a0000002", [TWO])

    assert (await read(api)).digests == (bytes.fromhex(TWO),)
    assert api.server.context.commits.transactions == before


async def test_a_blob_that_is_being_deleted_is_waited_for(api: ApiHarness, use: BlobUse) -> None:
    """Until that has ended; or until it counts as given up."""
    deleting = Unreferenced(
        digests=(), at=api.now, deleting=(bytes.fromhex(ONE),), begun_at=api.now
    )
    await write(api, deleting)
    keeping = asyncio.create_task(use.keep(ACCOUNT, [ONE]))
    await asyncio.sleep(0)
    assert not keeping.done()
    await write(api, Unreferenced(digests=(), at=api.now))
    await keeping

    await write(api, deleting)
    api.now += STALLED_S
    await use.keep(ACCOUNT, [ONE])

    assert (await read(api)).deleting == ()
