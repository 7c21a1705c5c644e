"""Metrics: what Prometheus reads, for administrators only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import pytest
from msgspec.structs import replace
from picloud_driver.scheduler import Pool
from picloud_model.errors import AdministratorsOnly
from picloud_model.wire.queue import PushRequest, QueueMessage

from tests.shape.graph import ROOT
from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.key_owner import administrator_of, owner_of_second_account

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

LINE = re.compile(r'[a-z_]+(\{[a-z_]+="[a-z0-9_]+"(,le="[0-9.+Inf]+")?\})? \d+(\.\d+)?(e-\d+)?')
"""A sample of the text format: <https://prometheus.io/docs/instrumenting/exposition_formats>."""


async def _read(api: ApiHarness) -> dict[str, float]:
    owner = await administrator_of(api)
    samples = {}
    for line in (await api.use_cases.operation.metrics.text(owner.holder)).splitlines():
        if not line.startswith("# "):
            assert LINE.fullmatch(line), line
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    return samples


async def test_jobs_are_counted_by_state(api: ApiHarness) -> None:
    """Jobs of batches that have not ended, of all accounts; slots and transactions."""
    await api.submit(2500)
    slot = await api.slot()
    before = await _read(api)
    lease = (await api.work(slot)).leases[0]
    during = await _read(api)
    await api.work(slot, reports=[report_of(lease)], lease=False)
    after = await _read(api)

    assert before['picloud_jobs{state="queued"}'] == 2500
    assert during['picloud_jobs{state="leased"}'] == len(lease.jobs)
    assert after['picloud_jobs{state="done"}'] == len(lease.jobs)
    assert after["picloud_unfinished_batches"] == 1
    assert after['picloud_slots{core_type="c1"}'] == 1
    assert after["picloud_transactions_total"] > before["picloud_transactions_total"]


async def test_wanted_cores_are_those_of_jobs_and_of_slots_that_are_kept(api: ApiHarness) -> None:
    """Jobs that run and jobs that could, not those that wait for others; all core types are there.

    What is kept ready counts where fewer jobs are there.
    """
    jids = await api.submit(5)
    await api.submit(30, core_type="c2", cores=2)
    await api.send(replace(api.request(7), depends_on=[(jids[0], jids[-1])]))
    slot = await api.slot()
    lease = (await api.work(slot)).leases[0]
    jobs = await _read(api)
    kept = {Pool(ACCOUNT, "c1", 1): 3, Pool(ACCOUNT, "m1", 4): 2}
    api.server.context.warm_slots.replace(kept, {})
    with_kept = await _read(api)

    assert lease.jobs
    assert jobs['picloud_wanted_cores{core_type="c2"}'] == 60
    assert jobs['picloud_wanted_cores{core_type="c1"}'] == 5
    assert jobs['picloud_wanted_cores{core_type="s1"}'] == 0
    assert with_kept['picloud_wanted_cores{core_type="c1"}'] == 5
    assert with_kept['picloud_wanted_cores{core_type="m1"}'] == 8


async def test_phases_cores_and_their_cost_are_counted(api: ApiHarness) -> None:
    """Once for each job whose result is stored, also when its report arrives twice."""
    await api.submit(1)
    api.now += 0.3
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    during = await _read(api)
    report = report_of(lease, seconds=3600.0)
    for _ in range(2):
        await api.work(slot, reports=[report], lease=False)
        await _read(api)

    after = await _read(api)

    assert during["picloud_leases"] == 1
    assert during['picloud_job_phase_seconds_count{phase="run"}'] == 0
    assert after["picloud_leases"] == 0
    assert after['picloud_job_phase_seconds_count{phase="run"}'] == 1
    assert after['picloud_job_phase_seconds_sum{phase="run"}'] == 3600
    assert after['picloud_job_phase_seconds_bucket{phase="run",le="300.0"}'] == 0
    assert after['picloud_job_phase_seconds_bucket{phase="run",le="3600.0"}'] == 1
    assert after['picloud_job_phase_seconds_bucket{phase="run",le="+Inf"}'] == 1
    assert after['picloud_core_seconds_total{core_type="c1"}'] == 3600
    assert after["picloud_cost_dollars_total"] == 0.04


async def test_the_dashboard_asks_for_what_there_is(api: ApiHarness) -> None:
    """Each metric and each label of a query of the Grafana dashboard is in the metrics."""
    await api.submit(1)
    slot = await api.slot()
    for lease in (await api.work(slot)).leases:
        await api.work(slot, reports=[report_of(lease)], lease=False)
    dashboard = msgspec.json.decode((ROOT / "docs/how-to/grafana.json").read_bytes())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    samples = await _read(api)

    names = {sample.partition("{")[0] for sample in samples}
    labels = {label for sample in samples for label in re.findall(r'(\w+)="', sample)}
    asked = {name for query in queries for name in re.findall(r"picloud_\w+", query)}
    assert asked - names == set()
    # What a histogram adds up to is not shown; everything else is.
    assert names - asked == {"picloud_job_phase_seconds_sum"}
    grouped = re.findall(r"by \(([\w, ]+)\)", " ".join(queries))
    matched = re.findall(r'(\w+)=~?"([^"]+)"', " ".join(queries))
    assert {*", ".join(grouped).split(", "), *(name for name, _ in matched)} <= labels
    values = {value for sample in samples for value in re.findall(r'="([^"]+)"', sample)}
    assert {value for _, each in matched for value in each.split("|")} <= values


async def test_messages_are_counted(api: ApiHarness) -> None:
    """Those that wait and those that come later, in all queues together."""
    queues = api.use_cases.queues.queues
    for name, delay_s in (("a", 0.0), ("b", 0.0), ("b", 60.0)):
        await queues.create(ACCOUNT, name)
        messages = [QueueMessage(json="1")] * 2
        push = PushRequest(name=name, push_id=uuid4().hex, messages=messages, delay_s=delay_s)
        await queues.push(ACCOUNT, push)

    samples = await _read(api)

    assert samples["picloud_queues"] == 2
    assert samples['picloud_queue_messages{state="ready"}'] == 4
    assert samples['picloud_queue_messages{state="delayed"}'] == 2


async def test_other_accounts_see_no_metrics(api: ApiHarness) -> None:
    """They would learn how much others compute."""
    other = await owner_of_second_account(api)

    with pytest.raises(AdministratorsOnly):
        await api.use_cases.operation.metrics.text(other.holder)
