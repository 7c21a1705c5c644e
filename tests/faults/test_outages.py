"""Processes that are not dead but away: stopped, slow to come back, or not ready yet."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress, Transport
from picloud_api.background.sweepers.stage_sweeper import KEPT_S
from picloud_api.settings import read
from picloud_api.store import layout
from picloud_api.wiring import build
from picloud_model import pack, wire

from tests.e2e.stack_hashicorp import close
from tests.e2e.stacks import FIRST_ACCOUNT, kill
from tests.faults.kinds import family
from tests.faults.ledger import Ledger
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def slowly(value: str) -> str:
    """Return a value after some seconds."""
    time.sleep(3)
    return value


def test_a_slot_that_comes_back_too_late_is_not_believed(begin: Callable[..., Stack]) -> None:
    """If a slot was stopped so long that its job went to another one, its report is ignored: the
    other slot's result stays.
    """
    stack = begin(slots=1)
    ledger = Ledger(stack)
    ledger.submit(1, 2.0)
    ledger.until_executed(1)
    late = family(stack.slots()[0])

    for process in late:
        process.send_signal(signal.SIGSTOP)
    ledger.until_executed(2)
    for process in late:
        process.send_signal(signal.SIGCONT)
    until(lambda: not late[-1].is_running(), "the late slot has ended")

    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_total == 2


def test_a_server_that_was_stopped_loses_no_slot(begin: Callable[..., Stack]) -> None:
    """A server that slept, as on a laptop, does not count its slots as lost when it wakes up: their
    reports count, and nothing is executed twice.
    """
    stack = begin()
    ledger = Ledger(stack)
    ledger.submit(40, 0.2)
    ledger.until_executed(4)
    slots = stack.slots()

    for process in stack.api():
        process.send_signal(signal.SIGSTOP)
    time.sleep(22)
    for process in stack.api():
        process.send_signal(signal.SIGCONT)

    ledger.client.join(ledger.jids, WAIT_S, ignore_errors=True)
    assert stack.slots() == slots
    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_total == 40


def test_a_kill_survives_the_death_of_the_server(begin_each: Callable[..., Stack]) -> None:
    """A killed job ends as killed, even if the server died before its slot was informed."""
    stack = begin_each()
    client = stack.client(patient=True)
    jids = client.map(time.sleep, [600] * 2)
    until(lambda: set(client.status(jids)) == {"processing"}, "the jobs run")

    client.kill(jids[0])
    stack.kill9_api()
    stack.start()

    client.join(jids[0], 20, ignore_errors=True)
    assert client.status(jids) == ["killed", "processing"]
    client.kill(jids[1])
    stack.restart()
    client.join(jids[1], 20, ignore_errors=True)
    assert client.status(jids) == ["killed", "killed"]
    client.close()


def test_what_a_killed_client_sent_ahead_is_deleted(begin_each: Callable[..., Stack]) -> None:
    """An hour after a client was killed in a large submit, nothing of it is stored."""
    stack = begin_each()
    transport = Transport(ServerAddress(stack.url, stack.key), Config())
    parcels = [pack.seal(b"an argument")] * 1000
    content = wire.Content("", data=pack.write(parcels))
    parts = [wire.PackPart(first, 1000, content) for first in range(0, 5000, 1000)]
    staged = wire.StageRequest(submit_id=uuid4().hex, parts=parts)
    transport.post("/v1/jobs/staged", staged, wire.Answer)
    transport.close()
    stack.kill9_api()

    before, after = asyncio.run(swept(stack, staged.submit_id))

    assert (before, after) == (6, 0)


async def swept(stack: Stack, batch: str) -> tuple[int, int]:
    """Sweep as an API process does an hour later; return the keys of a batch before and after."""
    ports = await stack.open_ports()
    server = await build(
        ports, read(["--data", str(stack.shared)], {}), lambda: time.time() + KEPT_S + 1
    )
    prefixes = *layout.stored_ahead(FIRST_ACCOUNT, batch), layout.staged(FIRST_ACCOUNT, batch)

    async def count() -> int:
        return sum([len(await ports.state.scan(prefix)) for prefix in prefixes])

    before = await count()
    await server.background.stage_sweeper.sweep()
    after = await count()
    await close(ports)
    return before, after


def test_who_waits_does_not_notice_a_restart(begin_each: Callable[..., Stack]) -> None:
    """A client that waits for a result, with the default settings, gets it although the server is
    killed and restarted meanwhile.
    """
    stack = begin_each()
    client = stack.client()
    jid = client.call(slowly, "well")
    until(lambda: client.status(jid) == "processing", "the job runs")
    results: list[object] = []
    waiting = threading.Thread(target=lambda: results.append(client.result(jid, WAIT_S)))
    waiting.start()

    stack.kill9_api()
    stack.start()
    stack.restart()

    waiting.join(WAIT_S)
    assert results == ["well"]
    client.close()


def test_calls_do_not_notice_that_the_api_s_worker_died(begin: Callable[..., Stack]) -> None:
    """A client with the default settings calls and waits without an error, although the API's
    worker is killed again and again.
    """
    stack = begin()
    client = stack.client()
    client.join(client.call(abs, 1), WAIT_S)
    over = threading.Event()

    def harass() -> None:
        for _ in range(5):
            over.wait(0.4)
            for worker in stack.api()[1:]:
                kill(worker)
        over.set()

    harassing = threading.Thread(target=harass)
    harassing.start()
    jids = []
    while not over.is_set():
        jids.append(client.call(abs, -1))
        assert client.result(jids[-1], WAIT_S) == 1
    harassing.join()

    assert jids == list(range(2, len(jids) + 2))
    client.close()


def test_large_results_survive_the_death_of_the_server(begin: Callable[..., Stack]) -> None:
    """Results that are sent as blobs arrive complete, although the server dies while they
    are sent.
    """
    stack = begin()
    client = stack.client(patient=True)
    jids = client.map(lambda number: bytes([number]) * 3_000_000, range(60))

    for enough in (6, 24, 42):
        while client.status(jids).count("done") < enough:
            client.join(jids[enough], WAIT_S)
        stack.kill9_api()
        stack.start()

    assert client.result(jids, WAIT_S) == [bytes([number]) * 3_000_000 for number in range(60)]
    client.close()


def test_a_server_killed_while_it_starts_starts_again(begin: Callable[..., Stack]) -> None:
    """Whenever a server is killed while it starts, the next start finds all data unchanged."""
    stack = begin()
    client = stack.client(patient=True)
    jid = client.call(abs, -1)
    client.join(jid, WAIT_S)
    key = stack.key

    for pause in range(12):
        stack.kill9()
        starting = threading.Thread(target=_start_in_vain, args=(stack,))
        starting.start()
        until(stack.processes, "the server starts")
        time.sleep(0.03 * pause)
        stack.kill9()
        starting.join()
    stack.start()

    assert stack.key == key
    assert client.result(jid, WAIT_S) == 1
    assert client.result(client.call(abs, -2), WAIT_S) == 2
    client.close()


def test_statuses_never_go_back(begin: Callable[..., Stack]) -> None:
    """However often slots are killed, a job that has started never shows `queued` again, and one
    that has ended keeps its final status.
    """
    order = {"queued": 0, "processing": 1, "done": 2}
    stack = begin()
    ledger = Ledger(stack)
    ledger.submit(100, 0.05)
    seen = [0] * 100
    kills = 0

    while set(seen) != {2}:
        now = [order[status] for status in ledger.client.status(ledger.jids)]
        assert all(before <= after for before, after in zip(seen, now, strict=True))
        seen = now
        if seen.count(2) > 8 * kills and kills < 10:
            kill(until(stack.slots, "there is a slot")[0])
            kills += 1

    assert ledger.settle().kept


def _start_in_vain(stack: Stack) -> None:
    try:
        stack.start()
    except (AssertionError, OSError):
        return
