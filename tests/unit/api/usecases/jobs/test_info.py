"""Info: what slots report about jobs is kept with their results, and queried while they run."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from picloud_api.usecases.jobs.info import ANSWER_JOBS
from picloud_model import wire
from picloud_model.errors import JobNotFound, RequestRefused
from picloud_model.info import InfoKey
from picloud_model.job import Cause, State
from picloud_model.pack import Envelope, Pack, seal

from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.job_info import info_content, info_values, report_with_infos

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession

    from tests.unit.api.api_harness import ApiHarness


async def test_each_job_has_its_own_info(api: ApiHarness) -> None:
    """The result pack of a report holds the infos of its jobs; a job may have none."""
    jids = await api.submit(3)
    slot = await api.slot()
    while leases := (await api.work(slot)).leases:
        reports = [report_with_infos(lease, {1: info_content(stdout=b"one\n")}) for lease in leases]
        await api.work(slot, reports=reports, lease=False)

    values = await info_values(api, jids, "stdout", "status", "cputime.user")

    assert [values[jid]["stdout"] for jid in jids] == ["", "one\n", ""]
    assert [values[jid]["cputime.user"] for jid in jids] == [0.0, 1.5, 0.0]
    assert {each["status"] for each in values.values()} == {"done"}


async def test_infos_survive_a_restart(api: ApiHarness) -> None:
    """Infos are as durable as results."""
    jids = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    await api.work(
        slot, reports=[report_with_infos(lease, {0: info_content(stderr=b"e")})], lease=False
    )

    await api.stop()
    await api.start()

    assert (await info_values(api, jids, "stderr"))[jids[0]] == {"stderr": "e"}


async def test_silent_jobs_add_nothing(api: ApiHarness) -> None:
    """A job without an info leaves a result pack as it was: no parcel, no key, no flag."""
    for silent in (True, False):
        await api.submit(1)
        slot = await api.slot()
        (lease,) = (await api.work(slot)).leases
        infos = {} if silent else {0: info_content(stdout=b"x")}
        before = api.server.context.commits.transactions
        await api.work(slot, reports=[report_with_infos(lease, infos)], lease=False)
        assert api.server.context.commits.transactions - before == 1

    entries = await api.server.ports.state.scan("packs/")
    results = {entry.key: entry.value for entry in entries if "/r" in entry.key}
    assert sorted(len(Pack(data)) for data in results.values()) == [2, 3]


async def test_the_usage_of_quick_jobs_is_numbers(api: ApiHarness) -> None:
    """The memory of a job without an info is that of another job of the same report."""
    jids = await api.submit(9)
    slot = await api.slot()
    while leases := (await api.work(slot)).leases:
        first = info_content(stdout=b"x")
        reports = [report_with_infos(lease, {lease.jobs[0].index: first}) for lease in leases]
        await api.work(slot, reports=reports, lease=False)

    usage = await info_values(api, jids, "cputime", "memory.max_usage")

    assert [usage[jid]["memory.max_usage"] for jid in jids] == [1000] * 9
    assert {usage[jid]["cputime.user"] for jid in jids} == {0.0, 1.5}


async def test_the_log_of_the_platform_says_what_was_done_after_the_job(api: ApiHarness) -> None:
    """Remarks of the slot follow the events that the server knows."""
    jids = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    data = wire.pack_info(wire.Info(remarks=["restored after the job: umask"]))
    await api.work(
        slot,
        reports=[report_with_infos(lease, {0: wire.Content("", len(data), data)})],
        lease=False,
    )

    (log,) = (await info_values(api, jids, "pilog"))[jids[0]].values()

    assert log.splitlines()[-1] == "restored after the job: umask"
    assert "begun" in log


async def test_a_large_info_is_a_blob(api: ApiHarness) -> None:
    """An info that a slot stored as a blob is read from there; other bytes are not accepted."""
    data = wire.pack_info(wire.Info(streams={"logging": wire.Stream(5, b"from a blob")}))
    name = f"{ACCOUNT}/{(digest := sha256(data).hexdigest())}"
    blobs = api.server.ports.blobs
    await blobs.put(name, data)
    jids = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    infos = {0: wire.Content(digest, len(data))}
    await api.work(slot, reports=[report_with_infos(lease, infos)], lease=False)

    assert (await info_values(api, jids, "logging"))[jids[0]]["logging"] == "from a blob"
    await blobs.delete(name)
    await blobs.put(name, wire.pack_info(wire.Info(streams={"logging": wire.Stream(3, b"bad")})))
    assert not (await info_values(api, jids, "logging"))[jids[0]]["logging"]


async def test_every_key_has_a_value_or_none(api: ApiHarness) -> None:
    """'all': "Obtain info about every possible item"; nothing is left out or fails."""
    jids = await api.submit(2, label="mine")

    values = await info_values(api, jids, "all")

    for jid in jids:
        expected = {key.value for key in InfoKey} - {"args", "kwargs", "func_body"}
        assert set(values[jid]) == expected
        assert values[jid]["label"] == "mine"
        assert values[jid]["runtime"] is None


async def test_the_default_keys(api: ApiHarness) -> None:
    """The promise: "info automatically returns stdout, stderr, runtime, and status." """
    jids = await api.submit(1)

    assert set((await info_values(api, jids))[jids[0]]) == {"status", "stdout", "stderr", "runtime"}


async def test_an_unknown_key_is_refused(api: ApiHarness) -> None:
    """The message names the key that was meant, or else lists those that exist."""
    jids = await api.submit(1)

    with pytest.raises(RequestRefused, match=r"no info key 'stout'; did you mean stdout\?"):
        await info_values(api, jids, "stout")
    with pytest.raises(RequestRefused, match=r"no info key 'sizes'; there are status, .* all"):
        await info_values(api, jids, "sizes")


async def test_jobs_of_another_account_do_not_exist(api: ApiHarness) -> None:
    """A job of another account causes the same error as one that never existed."""
    await api.submit(1)
    request = wire.InfoRequest(jids=[(1, 1)])

    with pytest.raises(JobNotFound, match="no job 1 in your account"):
        await api.use_cases.jobs.info.info("a0000002", request)


async def test_a_failure_is_text(api: ApiHarness) -> None:
    """`exception` is the remote traceback; the server unpickles nothing for it."""
    jids = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    failure = wire.Failure(
        cause=Cause.EXCEPTION, message="KeyError: 1", traceback="Traceback ...\nKeyError: 1\n"
    )
    report = report_of(lease, State.ERROR)
    (job,) = report.ended
    job = msgspec.structs.replace(job, cause=Cause.EXCEPTION, payload=seal(wire.encode(failure)))
    await api.work(slot, reports=[msgspec.structs.replace(report, ended=[job])], lease=False)

    values = (await info_values(api, jids, "exception", "pilog"))[jids[0]]

    assert values["exception"] == "Traceback ...\nKeyError: 1\n"
    assert values["pilog"].splitlines()[-1].endswith("error after 0.000 s: user exception")


async def run_forever(api: ApiHarness) -> tuple[range, SlotSession, wire.AttemptRef]:
    """Run a job that does not end; return it, its slot, and its attempt."""
    jids = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    held = wire.AttemptRef(lease.batch, lease.jobs[0].index, lease.jobs[0].attempt)
    await beat(api, slot, held, wait_s=0.0)
    return jids, slot, held


async def beat(
    api: ApiHarness, slot: SlotSession, held: wire.AttemptRef, **more: Any
) -> wire.HeartbeatAnswer:
    """Send a heartbeat that names a job as running."""
    request = wire.HeartbeatRequest(running=[held], **more)
    return await api.use_cases.slots.heartbeat.heartbeat(slot, request)


async def test_a_query_travels_with_heartbeats(api: ApiHarness) -> None:
    """The waiting heartbeat returns the query, and the next one brings the answer."""
    jids, slot, held = await run_forever(api)
    waiting = asyncio.create_task(beat(api, slot, held, wait_s=5.0))
    await asyncio.sleep(0)
    request = asyncio.create_task(info_values(api, jids, "stdout", "memory.usage", "status"))

    (query,) = (await waiting).live
    info = wire.Info(streams={"stdout": wire.Stream(0, b"so far")}, memory_bytes=7)
    live = [wire.LiveAnswer(query.number, wire.pack_info(info))]
    await beat(api, slot, held, live=live, wait_s=0.0)

    assert query.job == held
    expected = {"stdout": "so far", "memory.usage": 7, "status": "processing"}
    assert (await request)[jids[0]] == expected


async def test_only_the_slot_of_the_job_can_answer(api: ApiHarness) -> None:
    """The answer of another slot is ignored."""
    jids, slot, held = await run_forever(api)
    _, impostor, its_own = await run_forever(api)
    request = asyncio.create_task(info_values(api, jids, "stdout"))
    await api.wait_until(lambda: _unsent(api), True)
    (query,) = (await beat(api, slot, held, wait_s=0.0)).live
    for sender, job, text in ((impostor, its_own, b"lies"), (slot, held, b"truth")):
        info = wire.Info(streams={"stdout": wire.Stream(0, text)})
        live = [wire.LiveAnswer(query.number, wire.pack_info(info))]
        await beat(api, sender, job, live=live, wait_s=0.0)

    assert (await request)[jids[0]]["stdout"] == "truth"


async def test_no_slot_is_queried_without_need(api: ApiHarness) -> None:
    """Values that the server records itself cause no query."""
    jids, slot, held = await run_forever(api)

    await info_values(api, jids, "status", "runtime", "pilog", "attributes")

    assert (await beat(api, slot, held, wait_s=0.0)).live == []


async def test_a_followed_stream_has_no_gap_or_repeat(api: ApiHarness) -> None:
    """With offsets a stream arrives byte for byte, its last line after the end of the job."""
    jids, slot, held = await run_forever(api)
    written = "erste Zeile äöü\nzweite\n".encode()
    seen, start = "", 0
    for upto in (3, 14, 19):
        request = asyncio.create_task(follow(api, jids, start))
        await api.wait_until(lambda: _unsent(api), True)
        (query,) = (await beat(api, slot, held, wait_s=0.0)).live
        assert query.since == {"stdout": start}
        info = wire.Info(streams={"stdout": wire.Stream(start, written[start:upto])})
        live = [wire.LiveAnswer(query.number, wire.pack_info(info))]
        await beat(api, slot, held, live=live, wait_s=0.0)
        text, start = await request
        seen += text
    report = wire.Report(
        held.batch,
        Envelope("3.11", "3.1.0"),
        [
            wire.JobReport(
                index=0,
                attempt=held.attempt,
                state=State.DONE,
                cause=0,
                started_at=1.0,
                finished_at=2.0,
                payload=b"",
                info=info_content(stdout=written),
            )
        ],
    )
    await api.work(slot, reports=[report], lease=False)

    text, start = await follow(api, jids, start)

    assert seen + text == written.decode()
    assert start == len(written)


async def follow(api: ApiHarness, jids: range, start: int) -> tuple[str, int]:
    """Return stdout after its first `start` bytes, and up to which byte that goes."""
    request = wire.InfoRequest(jids=[(jids[0], jids[0])], keys=["stdout"], since={"stdout": start})
    (job,) = (await api.use_cases.jobs.info.info(ACCOUNT, request)).jobs
    return job.values["stdout"], job.ends["stdout"]


async def _unsent(api: ApiHarness) -> bool:
    return bool(api.server.live._unsent)


async def test_only_streams_can_be_followed(api: ApiHarness) -> None:
    """An offset into anything else is refused, and the message lists the streams."""
    jids = await api.submit(1)

    with pytest.raises(RequestRefused, match="Only stdout, stderr, logging can be followed"):
        await info_values(api, jids, "stdout", since={"pilog": 1})


async def test_a_reply_holds_a_bounded_number_of_jobs(api: ApiHarness) -> None:
    """A reply holds the first jobs of the request; the client requests the rest."""
    jids = await api.submit(ANSWER_JOBS + 100)

    assert list(await info_values(api, jids, "status")) == list(jids[:ANSWER_JOBS])
