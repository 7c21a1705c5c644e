"""Finished jobs that left a secret in their output, and ways to delete and seal them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.job_info import info_content, report_with_infos

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

SECRET = b"a secret that was printed"


async def run_printing(api: ApiHarness, count: int) -> range:
    """Submit a map and run every job of it; each prints a secret."""
    jids = await api.submit(count)
    slot = await api.slot()
    while leases := (await api.work(slot)).leases:
        for lease in leases:
            infos = {job.index: info_content(stdout=SECRET) for job in lease.jobs}
            await api.work(slot, reports=[report_with_infos(lease, infos)], lease=False)
    return jids


async def delete_jobs(api: ApiHarness, *jids: int) -> int:
    """Delete jobs; return how many were not deleted before."""
    answer = await api.use_cases.jobs.delete.delete(ACCOUNT, [(jid, jid) for jid in jids])
    return answer.count


async def seal_all(api: ApiHarness) -> None:
    """Let two hours pass, and seal all finished batches."""
    api.now += 7200
    await api.server.background.sealer.seal_finished()
