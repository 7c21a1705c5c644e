"""`kill -9` of every kind of process, at any moment: every promise is kept."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

from tests.e2e.stacks import kill
from tests.faults.ledger import Ledger
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack


SEED = 20_131_120
"""The seed that chooses the slots to kill; the moment depends on the machine."""


def test_everything_is_killed_in_the_middle_of_a_map(begin_each: Callable[..., Stack]) -> None:
    """When `call` or `map` has returned jids, their jobs survive the death of all processes at
    once, three times: each of 10,000 jobs ends with one result, the right one.
    """
    stack = begin_each()
    ledger = Ledger(stack)
    ledger.submit(10_000, 0.0005)

    for kills in (1, 2, 3):
        ledger.until_executed(2500 * kills)
        stack.kill9()
        stack.start()

    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_max <= 4
    assert totals.executions_total <= 10_000 + 3 * 2 * 400


def test_the_api_is_killed_and_the_slots_go_on(begin_each: Callable[..., Stack]) -> None:
    """Slots outlive the API: they finish the jobs that they hold, report them when the API is back,
    and nothing is executed twice.
    """
    stack = begin_each()
    ledger = Ledger(stack)
    ledger.submit(5000, 0.001)
    until(lambda: len(stack.slots()) == 2, "both slots are there")
    slots = stack.slots()

    for kills in (1, 2, 3):
        ledger.until_executed(1200 * kills)
        stack.kill9_api()
        stack.start()

    assert stack.slots() == slots
    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_total == 5000


def test_results_wait_for_the_api_to_come_back(begin: Callable[..., Stack]) -> None:
    """A slot keeps results for up to 30 s while the API is away."""
    stack = begin(slots=1)
    ledger = Ledger(stack)
    ledger.submit(10, 0.3)
    ledger.until_executed(1)

    stack.kill9_api()
    until(ledger.all_ended, "the slot has done all that it began")
    stack.start()

    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_total == 10


def test_the_api_s_worker_is_killed_alone(begin: Callable[..., Stack]) -> None:
    """Gunicorn's master replaces a worker that dies; clients and slots notice nothing."""
    stack = begin()
    ledger = Ledger(stack)
    ledger.submit(3000, 0.001)

    for kills in (1, 2):
        ledger.until_executed(1000 * kills)
        kill_api_worker(stack)

    assert len(stack.slots()) == 2
    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_total == 3000


def test_a_stop_without_a_worker_leaves_nothing(begin: Callable[..., Stack]) -> None:
    """A server that is stopped while its worker is dead, or starting, leaves no slot behind."""
    stack = begin()
    for pause in (0, 0.05, 0.1, 0.2):
        client = stack.client()
        client.map(time.sleep, [600] * 2)
        until(lambda: len(stack.slots()) == 2, "both slots are there")
        client.close()

        for worker in stack.api()[1:]:
            kill(worker)
        time.sleep(pause)
        stack.stop()

        assert stack.processes() == []
        stack.start()


def test_jids_are_taken_once_though_the_api_dies_while_they_are(
    begin: Callable[..., Stack],
) -> None:
    """A submit whose answer was lost is repeated under its id and gets the same jids: none is
    missing, none is taken twice, and each job runs.
    """
    stack = begin()
    ledger = Ledger(stack)

    submitting = ledger.submit_meanwhile(8, 1000)
    kills = 0
    while submitting.is_alive():
        submitting.join(0.02 * kills)
        stack.kill9_api()
        stack.start()
        kills += 1

    print(f"\n{kills} kills")
    totals = ledger.settle()
    assert totals.kept, totals
    assert ledger.jids == list(range(1, 8001))


def test_a_large_map_is_submitted_though_everything_dies(begin: Callable[..., Stack]) -> None:
    """A map whose submit takes many requests survives the loss of the API between any two
    of them.
    """
    stack = begin()
    client = stack.client(patient=True)
    items = [bytes([number % 256]) * 9000 for number in range(3000)]
    jids: list[int] = []

    submitting = threading.Thread(target=lambda: jids.extend(client.map(len, items)))
    submitting.start()
    kills = 0
    while submitting.is_alive():
        submitting.join(0.03 * kills)
        stack.kill9()
        stack.start()
        kills += 1

    print(f"\n{kills} kills")
    assert jids == list(range(1, 3001))
    assert client.result(jids, 120) == [9000] * 3000
    client.close()


def test_workers_are_killed_at_random(begin: Callable[..., Stack]) -> None:
    """20 kills of slots, of their supervisors and their zygotes, during a map of 500 jobs: each job
    is done, and none was lost so often that it became an error.
    """
    chance = random.Random(SEED)
    print(f"\nseed {SEED}")
    stack = begin()
    ledger = Ledger(stack)
    ledger.submit(500, 0.01)

    for kills in range(1, 21):
        ledger.until_executed(22 * kills)
        slots = until(stack.slots, "there is a slot")
        family = [slots[0], *slots[0].children()]
        kill(chance.choice([*slots, *family]))

    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_max <= 3


def kill_api_worker(stack: Stack) -> None:
    """Send SIGKILL to the process that serves the API; wait until its master has started another
    one.
    """
    master, *workers = stack.api()
    for worker in workers:
        kill(worker)
    until(lambda: set(stack.api()) - {master, *workers}, "there is another worker")
    assert stack.api()[0] == master
