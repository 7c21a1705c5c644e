"""Account changes: a page asks with its stamp whether it must be made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.engine.process.account_changes import AccountChanges

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_each_step_of_a_job_changes_the_stamp(api: ApiHarness) -> None:
    """Submitting, finishing and deleting a job are noticed; without changes the stamp stays."""
    stamps = [api.use_cases.jobs.listing.stamp(ACCOUNT)]
    jids = await api.submit(1)
    stamps.append(api.use_cases.jobs.listing.stamp(ACCOUNT))
    slot = await api.slot()
    lease = (await api.work(slot)).leases[0]
    await api.work(slot, reports=[report_of(lease)])
    stamps.append(api.use_cases.jobs.listing.stamp(ACCOUNT))
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(jids[0], jids[0])])
    stamps.append(api.use_cases.jobs.listing.stamp(ACCOUNT))

    assert len(set(stamps)) == 4
    assert api.use_cases.jobs.listing.stamp(ACCOUNT) == stamps[-1]


def test_two_processes_never_have_the_same_stamp() -> None:
    """A page that another process made is made again."""
    assert AccountChanges().stamp(ACCOUNT) != AccountChanges().stamp(ACCOUNT)


def test_anything_may_have_changed_after_a_full_look() -> None:
    """Where events were missed, the pages of every account are made again."""
    changes = AccountChanges()
    stamp = changes.stamp(ACCOUNT)

    changes.note_all()

    assert changes.stamp(ACCOUNT) != stamp
