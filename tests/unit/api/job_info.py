"""Infos of jobs: reports that carry them, and requests for what is known of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from picloud_model import wire

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.unit.api.api_harness import ApiHarness


def profiled(
    caller: str, function: str, calls: int, own_s: float, total_s: float
) -> wire.ProfiledCall:
    """A function that another one has called."""
    return wire.ProfiledCall(
        caller=caller, function=function, calls=calls, own_s=own_s, total_s=total_s
    )


def info_content(**streams: bytes) -> wire.Content:
    """Return the info of a job as a report carries it, with these streams."""
    contents = {name: wire.Stream(0, data) for name, data in streams.items()}
    data = wire.pack_info(wire.Info(streams=contents, user_s=1.5, system_s=0.5, peak_bytes=1000))
    return wire.Content("", len(data), data)


def report_with_infos(lease: wire.Lease, infos: Mapping[int, wire.Content]) -> wire.Report:
    """Return the report on a lease of which each job is done and some have infos."""
    report = report_of(lease)
    jobs = [msgspec.structs.replace(job, info=infos.get(job.index)) for job in report.ended]
    return msgspec.structs.replace(report, ended=jobs)


async def info_values(
    api: ApiHarness, jids: range, *keys: str, **more: Any
) -> dict[int, dict[str, Any]]:
    """Return what is known of jobs, by jid."""
    request = wire.InfoRequest(jids=[(jids[0], jids[-1])], keys=list(keys), **more)
    answer = await api.use_cases.jobs.info.info(ACCOUNT, request)
    return {job.jid: job.values for job in answer.jobs}
