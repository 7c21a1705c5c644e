"""Info: what slots told of jobs is kept beside their results, and asked for while they run."""

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
    """Infos lie in the result pack of their report, by job; the others have none."""
    jids = await api.submit(3)
    slot = await api.slot()
    while leases := (await api.work(slot)).leases:
        reports = [report_with_infos(lease, {1: info_content(stdout=b"one\n")}) for lease in leases]
        await api.work(slot, reports=reports, lease=False)

    told = await info_values(api, jids, "stdout", "status", "cputime.user")

    assert [told[jid]["stdout"] for jid in jids] == ["", "one\n", ""]
    assert [told[jid]["cputime.user"] for jid in jids] == [0.0, 1.5, 0.0]
    assert {values["status"] for values in told.values()} == {"done"}


async def test_infos_survive_a_restart(api: ApiHarness) -> None:
    """What was told is as durable as the result."""
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
    """Of a job that reported nothing, another one of its report tells the memory."""
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

    told = await info_values(api, jids, "all")

    for jid in jids:
        expected = {key.value for key in InfoKey} - {"args", "kwargs", "func_body"}
        assert set(told[jid]) == expected
        assert told[jid]["label"] == "mine"
        assert told[jid]["runtime"] is None


async def test_the_default_keys(api: ApiHarness) -> None:
    """The promise: "info automatically returns stdout, stderr, runtime, and status." """
    jids = await api.submit(1)

    assert set((await info_values(api, jids))[jids[0]]) == {"status", "stdout", "stderr", "runtime"}


async def test_a_wrong_key_names_the_right_ones(api: ApiHarness) -> None:
    """A closed list is told to whoever misses it."""
    jids = await api.submit(1)

    with pytest.raises(RequestRefused, match=r"no info 'stout'; there are status, stdout, .* all"):
        await info_values(api, jids, "stout")


async def test_jobs_of_others_are_not_there(api: ApiHarness) -> None:
    """Another account's job and one that never was are the same."""
    await api.submit(1)
    request = wire.InfoRequest(jids=[(1, 1)])

    with pytest.raises(JobNotFound, match="no job 1 in your account"):
        await api.use_cases.jobs.info.info("a0000002", request)


async def test_a_failure_is_told_in_words(api: ApiHarness) -> None:
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

    told = (await info_values(api, jids, "exception", "pilog"))[jids[0]]

    assert told["exception"] == "Traceback ...\nKeyError: 1\n"
    assert told["pilog"].splitlines()[-1].endswith("error after 0.000 s: user exception")


async def run_forever(api: ApiHarness) -> tuple[range, SlotSession, wire.AttemptRef]:
    """A job that some slot runs and names in its heartbeats."""
    jids = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    held = wire.AttemptRef(lease.batch, lease.jobs[0].index, lease.jobs[0].attempt)
    await beat(api, slot, held, wait_s=0.0)
    return jids, slot, held


async def beat(
    api: ApiHarness, slot: SlotSession, held: wire.AttemptRef, **more: Any
) -> wire.HeartbeatAnswer:
    """One heartbeat that names a job as running."""
    request = wire.HeartbeatRequest(running=[held], **more)
    return await api.use_cases.slots.heartbeat.heartbeat(slot, request)


async def test_a_running_job_is_asked_for_through_the_heartbeat(api: ApiHarness) -> None:
    """The waiting heartbeat is answered with the question, the next one brings the answer."""
    jids, slot, held = await run_forever(api)
    waiting = asyncio.create_task(beat(api, slot, held, wait_s=5.0))
    await asyncio.sleep(0)
    asking = asyncio.create_task(info_values(api, jids, "stdout", "memory.usage", "status"))

    (asked,) = (await waiting).live
    info = wire.Info(streams={"stdout": wire.Stream(0, b"so far")}, memory_bytes=7)
    live = [wire.LiveAnswer(asked.number, wire.pack_info(info))]
    await beat(api, slot, held, live=live, wait_s=0.0)

    assert asked.job == held
    expected = {"stdout": "so far", "memory.usage": 7, "status": "processing"}
    assert (await asking)[jids[0]] == expected


async def test_only_the_slot_that_was_asked_can_tell(api: ApiHarness) -> None:
    """What another slot says in its place is not accepted."""
    jids, slot, held = await run_forever(api)
    _, impostor, its_own = await run_forever(api)
    asking = asyncio.create_task(info_values(api, jids, "stdout"))
    await api.wait_until(lambda: _unsent(api), True)
    (asked,) = (await beat(api, slot, held, wait_s=0.0)).live
    for teller, job, said in ((impostor, its_own, b"lies"), (slot, held, b"truth")):
        info = wire.Info(streams={"stdout": wire.Stream(0, said)})
        live = [wire.LiveAnswer(asked.number, wire.pack_info(info))]
        await beat(api, teller, job, live=live, wait_s=0.0)

    assert (await asking)[jids[0]]["stdout"] == "truth"


async def test_nobody_asks_when_nobody_wants_to_know(api: ApiHarness) -> None:
    """Status and what the server knows by itself disturb no slot, and heartbeats carry nothing."""
    jids, slot, held = await run_forever(api)

    await info_values(api, jids, "status", "runtime", "pilog", "attributes")

    assert (await beat(api, slot, held, wait_s=0.0)).live == []


async def test_what_follows_is_told_without_gap_or_repeat(api: ApiHarness) -> None:
    """With offsets a stream arrives byte for byte, over the job's end: also its last line."""
    jids, slot, held = await run_forever(api)
    written = "erste Zeile äöü\nzweite\n".encode()
    seen, known = "", 0
    for upto in (3, 14, 19):
        asking = asyncio.create_task(follow(api, jids, known))
        await api.wait_until(lambda: _unsent(api), True)
        (asked,) = (await beat(api, slot, held, wait_s=0.0)).live
        assert asked.since == {"stdout": known}
        info = wire.Info(streams={"stdout": wire.Stream(known, written[known:upto])})
        live = [wire.LiveAnswer(asked.number, wire.pack_info(info))]
        await beat(api, slot, held, live=live, wait_s=0.0)
        text, known = await asking
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

    text, known = await follow(api, jids, known)

    assert seen + text == written.decode()
    assert known == len(written)


async def follow(api: ApiHarness, jids: range, known: int) -> tuple[str, int]:
    """What stdout says after so many bytes, and how many there are then."""
    request = wire.InfoRequest(jids=[(jids[0], jids[0])], keys=["stdout"], since={"stdout": known})
    (job,) = (await api.use_cases.jobs.info.info(ACCOUNT, request)).jobs
    return job.values["stdout"], job.ends["stdout"]


async def _unsent(api: ApiHarness) -> bool:
    return bool(api.server.live._unsent)


async def test_only_streams_can_be_followed(api: ApiHarness) -> None:
    """An offset into something else is refused, and what could be meant is named."""
    jids = await api.submit(1)

    with pytest.raises(RequestRefused, match="Only stdout, stderr, logging can be followed"):
        await info_values(api, jids, "stdout", since={"pilog": 1})


async def test_a_reply_holds_a_bounded_number_of_jobs(api: ApiHarness) -> None:
    """A reply holds the first jobs of the request; the client requests the rest."""
    jids = await api.submit(ANSWER_JOBS + 100)

    assert list(await info_values(api, jids, "status")) == list(jids[:ANSWER_JOBS])
