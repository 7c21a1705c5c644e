"""The fault campaign: `make faults`. Many jobs with a ledger, and everything is killed meanwhile.

In each run every process is killed at once twice; slots, children of slots and processes of the API
are killed, terminated and stopped in between. No job may end as an error, be lost, or show a wrong
or a second result. Meanwhile another client kills one job after the other: it is printed how long
that takes until nothing of the job runs.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stacks import EmbeddedStack, kill
from tests.faults.kills import Kills
from tests.faults.ledger import Ledger
from tests.faults.timeline import Timeline
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack

STACKS: Final = {"embedded": EmbeddedStack, "hashicorp": HashiCorpStack}
SECONDS: Final = 0.01
"""How long each job takes."""
LONG_JOBS: Final = 4
LONG_S: Final = 8.0
"""A few jobs take long, so that they are hit again and again."""


def main() -> int:
    """Run the campaign on one stack; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--stack", choices=STACKS, default="embedded")
    parser.add_argument("--jobs", type=int, default=2500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=20_131_120)
    options = parser.parse_args()
    kept = [run(options, number) for number in range(options.runs)]
    return 0 if all(kept) else 1


def run(options: argparse.Namespace, number: int) -> bool:
    """Run the jobs once among faults; return whether every promise was kept."""
    chance = random.Random(options.seed + number)
    with tempfile.TemporaryDirectory() as root:
        stack: Stack = STACKS[options.stack](Path(root))
        stack.start()
        began = time.monotonic()
        timeline = Timeline()
        kills = Kills(stack, timeline)
        try:
            ledger = _among_faults(stack, options.jobs, chance, timeline)
            killed = kills.stop()  # before the server, which the last one waits for
            totals = ledger.settle()
        finally:
            stack.kill9()
        took_s = time.monotonic() - began
    verdict = "kept" if totals.kept else "BROKEN"
    print(
        f"{options.stack} run {number + 1}: {verdict} in {took_s:.0f} s: {totals}; {killed}",
        flush=True,
    )
    return totals.kept


def _among_faults(stack: Stack, jobs: int, chance: random.Random, timeline: Timeline) -> Ledger:
    ledger = Ledger(stack)
    ledger.submit(LONG_JOBS, LONG_S)
    ledger.submit(jobs, SECONDS)
    faults = _faults(chance)
    for at, fault in enumerate(faults):
        ledger.until_executed(LONG_JOBS + jobs * at // len(faults))
        with suppress(psutil.NoSuchProcess), timeline.fault(fault.__name__.strip("_")):
            fault(stack, chance, timeline)
    return ledger


def _faults(chance: random.Random) -> list[Callable[[Stack, random.Random, Timeline], None]]:
    singles = [_kill_slot, _kill_child, _terminate_slot, _kill_api_worker, _kill_api] * 4
    chance.shuffle(singles)
    third = len(singles) // 3
    return [
        *singles[:third],
        _kill_all,
        *singles[third : 2 * third],
        _kill_all,
        *singles[2 * third :],
    ]


def _kill_all(stack: Stack, _: random.Random, timeline: Timeline) -> None:
    stack.kill9()
    with timeline.down():
        stack.start()


def _kill_api(stack: Stack, _: random.Random, timeline: Timeline) -> None:
    stack.kill9_api()
    with timeline.down():
        stack.start()


def _kill_api_worker(stack: Stack, _: random.Random, __: Timeline) -> None:
    for worker in stack.api()[1:]:
        kill(worker)


def _kill_slot(stack: Stack, chance: random.Random, _: Timeline) -> None:
    kill(chance.choice(until(stack.slots, "there is a slot")))


def _kill_child(stack: Stack, chance: random.Random, _: Timeline) -> None:
    slot = chance.choice(until(stack.slots, "there is a slot"))
    for zygote in slot.children():
        for child in zygote.children()[:1]:
            kill(child)


def _terminate_slot(stack: Stack, chance: random.Random, _: Timeline) -> None:
    slot = chance.choice(until(stack.slots, "there is a slot"))
    for process in (*slot.children(recursive=True), slot):
        process.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
