"""The fault campaign: `make faults`. Many jobs with a ledger, and everything fails meanwhile.

Slots, children of slots, processes of the API and the servers behind it are killed, terminated,
stopped and sealed, one after the other (`kinds.py`). No job may end as an error, be lost, or show a
wrong or a second result, and nothing may be left of them. Meanwhile another client kills one job
after the other: it is printed how long that takes until nothing of the job runs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import psutil

from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stacks import EmbeddedStack
from tests.faults import census, kinds
from tests.faults.kills import Kills
from tests.faults.ledger import Account, Ledger
from tests.faults.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.stacks import Stack
    from tests.faults.kinds import Fault

STACKS: Final[dict[str, type[EmbeddedStack]]] = {
    "embedded": EmbeddedStack,
    "hashicorp": HashiCorpStack,
}
SECONDS: Final = 0.01
"""How long each job takes."""
LONG_JOBS: Final = 4
LONG_S: Final = 8.0
"""A few jobs take long, so that they are hit again and again."""


class Outcome(NamedTuple):
    """What a campaign found: the ledger's totals, what is left, the faults, and how kills went."""

    totals: Account
    left: dict[str, int]
    faults: Counter[str]
    kills: str

    @property
    def kept(self) -> bool:
        """Return whether every promise was kept."""
        return self.totals.kept and not self.left

    def __str__(self) -> str:
        verdict = "kept" if self.kept else "BROKEN"
        left = ", ".join(f"{count} {what}" for what, count in self.left.items()) or "nothing"
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        return f"{verdict}: {self.totals}; left: {left}; faults: {faults}; {self.kills}"


def main() -> int:
    """Run the campaign on one stack; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--stack", choices=STACKS, default="embedded")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20_131_120)
    parser.add_argument("--report", type=Path, help="a file to which each run adds a line of JSON")
    options = parser.parse_args()
    kept = [_run(options, options.seed + number) for number in range(options.runs)]
    return 0 if all(kept) else 1


def _run(options: argparse.Namespace, seed: int) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        stack = STACKS[options.stack](Path(root))
        stack.start()
        try:
            outcome = run(stack, options.jobs, options.faults, seed)
        finally:
            stack.kill9()
    took_s = time.monotonic() - began
    print(f"{options.stack}, seed {seed}, {took_s:.0f} s: {outcome}", flush=True)
    if options.report:
        line = {
            "stack": options.stack,
            "seed": seed,
            "seconds": round(took_s),
            "kept": outcome.kept,
        }
        line |= outcome.totals._asdict()
        line |= {"left": outcome.left, "faults": outcome.faults, "kills": outcome.kills}
        options.report.parent.mkdir(parents=True, exist_ok=True)
        with options.report.open("a", encoding="utf-8") as lines:
            print(json.dumps(line), file=lines)
    return outcome.kept


def run(stack: EmbeddedStack, jobs: int, faults: int, seed: int) -> Outcome:
    """Run so many jobs among so many faults on a stack, which is stopped in the end.

    Args:
        stack: A stack that runs, and that no one else uses.
        jobs: How many short jobs; a few long ones come first.
        faults: How many faults, over the whole time.
        seed: Decides which faults, in which order, and what they hit.
    """
    chance = random.Random(seed)
    timeline = Timeline()
    leases = census.vault_leases(stack) if isinstance(stack, HashiCorpStack) else 0
    kills = Kills(stack, timeline)
    ledger = _among_faults(stack, jobs, kinds.drawn(stack, faults, chance), chance, timeline)
    killed = kills.stop()  # before the server, which the last one waits for
    ledger.join()
    left: dict[str, int] = {}
    if isinstance(stack, HashiCorpStack):
        left |= census.until_quiet(stack, leases)
    totals = ledger.settle()
    left |= census.after_stop(stack)
    return Outcome(totals, left, Counter(fault.what for fault in timeline.faults), killed)


def _among_faults(
    stack: Stack, jobs: int, faults: Sequence[Fault], chance: random.Random, timeline: Timeline
) -> Ledger:
    ledger = Ledger(stack)
    ledger.submit(LONG_JOBS, LONG_S)
    ledger.submit(jobs, SECONDS)
    for at, fault in enumerate(faults):
        ledger.until_executed(LONG_JOBS + jobs * at // len(faults))
        with suppress(psutil.NoSuchProcess), timeline.fault(fault.__name__):
            fault(stack, chance, timeline)
    return ledger


if __name__ == "__main__":
    sys.exit(main())
