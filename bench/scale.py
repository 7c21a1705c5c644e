"""`python -m bench.scale`: many slots, many clients, many batches.

slots    64 slots, 30 s of jobs that sleep 100 ms, then 10 s of those that sleep 20 ms: how busy
         they are, processor time a job
joins    1,000 clients in join at once: how long after a job's end each has its answer
batches  10,000 calls queued behind a job that sleeps, then run, then sealed
strides  every second job of a map of 20,000: depended on, status read, killed, deleted

python -m bench.scale --only slots joins --stack hashicorp
python -m bench.scale --json scale.json
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import load
from bench.contenders.picloud import Embedded, HashiCorp, PiCloud
from bench.measures import identity, memory_mb
from bench.progress import Progress
from bench.sealing import sealed
from bench.timed import timed

if TYPE_CHECKING:
    from collections.abc import Callable

STACKS: dict[str, type[PiCloud]] = {"embedded": Embedded, "hashicorp": HashiCorp}
_SLOTS = 64
_SLEEP_S = 0.1
_RUN_S = 30.0
_SHORT_SLEEP_S = 0.02
_SHORT_RUN_S = 10.0
_CLIENTS = 1000
_CLIENT_PROCESSES = 4
_BATCHES = 10_000


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=SCALES, default=list(SCALES))
    parser.add_argument("--stack", nargs="+", choices=STACKS, default=list(STACKS))
    parser.add_argument("--json", type=Path, default=Path("bench/results/scale.json"))
    parser.add_argument("--one", nargs=2, metavar=("SCALE", "STACK"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        scale, stack = chosen.one
        print(json.dumps(SCALES[scale](STACKS[stack])))
        return
    measured: dict[str, dict[str, Any]] = {}
    progress = Progress()
    for scale in chosen.only:
        for stack in chosen.stack:
            progress.tell(f"{scale}, {stack} ...")
            measured[f"{scale}, {stack}"] = values = _in_a_process(scale, stack)
            progress.end()
            print(f"\n{scale}, {stack}")
            for name, value in values.items():
                print(f"  {name:<58}{value if isinstance(value, str) else f'{value:,.2f}'}")
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(measured, indent=1), encoding="utf-8")
    if any("failed" in values for values in measured.values()):
        sys.exit(1)


def _in_a_process(scale: str, stack: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.scale", "--one", scale, stack]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["without a word"])[-1]}
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


def slots(kind: type[PiCloud]) -> dict[str, Any]:
    """64 warm slots, and jobs that sleep."""
    contender = kind(_SLOTS)
    contender.start()
    try:
        started = time.monotonic()
        # Only with more jobs than any slot may hold does every slot start.
        contender.map(time.sleep, [_SLEEP_S] * (20 * _SLOTS))
        warm = time.monotonic() - started
        jobs = round(_SLOTS * _RUN_S / _SLEEP_S)
        pids = [*contender.server_pids(), *contender.slot_pids(), os.getpid()]
        before, start = load.processor_s(pids), time.monotonic()
        contender.map(time.sleep, [_SLEEP_S] * jobs)
        took = time.monotonic() - start
        spent = load.processor_s(pids)
        by_role = {
            "API": contender.server_pids(),
            "slots": contender.slot_pids(),
            "client": [os.getpid()],
        }
        short_jobs = round(_SLOTS * _SHORT_RUN_S / _SHORT_SLEEP_S)
        short_took = timed(lambda: contender.map(time.sleep, [_SHORT_SLEEP_S] * short_jobs))
        return {
            "slots": len(contender.slot_pids()) / 3,  # supervisor, zygote, child
            "until warm, s": warm,
            "jobs": jobs,
            "efficiency (>= 0.90)": jobs * _SLEEP_S / (_SLOTS * took),
            "efficiency, jobs of 20 ms (>= 0.90)": _SHORT_RUN_S / short_took,
            **{
                f"processor time a job, {role}, ms": 1000
                * sum(spent.get(pid, 0) - before.get(pid, 0) for pid in pids)
                / jobs
                for role, pids in by_role.items()
            },
        }
    finally:
        contender.stop()


def joins(kind: type[PiCloud]) -> dict[str, Any]:
    """1,000 clients that wait: first all for one job, then each for a job of its own."""
    contender = kind()
    contender.start()
    try:
        contender.map(identity, range(100))
        values: dict[str, Any] = {"clients": _CLIENTS}
        moment = time.time() + 8
        jid = contender.cloud.call(load.until, moment)
        values |= _named("one job", load.wake_ups([jid] * _CLIENTS, _CLIENT_PROCESSES))
        # What goes before keeps the slots until every client waits.
        contender.cloud.map(load.until, [time.time() + 8] * contender.slots)
        jids = contender.cloud.map(load.until, [0.0] * _CLIENTS)
        values |= _named("a job each", load.wake_ups(list(jids), _CLIENT_PROCESSES))
        return values
    finally:
        contender.stop()


def _named(what: str, seconds: list[float]) -> dict[str, float]:
    goal = " (<= 250)" if what == "one job" else ""
    return {
        f"{what}: wake-up p50, ms": 1000 * seconds[len(seconds) // 2],
        f"{what}: wake-up p99, ms{goal}": 1000 * seconds[int(len(seconds) * 0.99) - 1],
    }


def batches(kind: type[PiCloud]) -> dict[str, Any]:
    """10,000 batches of one job each that wait, then run."""
    contender = kind()
    contender.start()
    try:
        cloud = contender.cloud
        contender.map(identity, range(100))
        before = max(memory_mb(pid, "VmRSS") for pid in contender.server_pids())
        guards = cloud.map(time.sleep, [600] * contender.slots)
        start = time.monotonic()
        jids: list[int] = []
        _together(lambda: jids.extend(cloud.call(identity, at) for at in range(_BATCHES // 8)), 8)
        submitted = time.monotonic() - start
        if (states := set(cloud.status(jids))) != {"queued"}:
            message = f"jobs were to be queued, not {states}"
            raise ValueError(message)
        after = max(memory_mb(pid, "VmRSS") for pid in contender.server_pids())
        cloud.kill(guards)
        start = time.monotonic()
        cloud.join(jids)
        took = time.monotonic() - start
        values = {
            "batches": len(jids),
            "submitted, calls/s, 8 threads": len(jids) / submitted,
            "API memory before, MB": before,
            "API memory, all queued, MB": after,
            "run, jobs/s": len(jids) / took,
        }
        # Where the state store is a file, history stays in it.
        return values | (sealed(contender) if kind is HashiCorp else {})
    finally:
        contender.stop()


def strides(kind: type[PiCloud]) -> dict[str, Any]:
    """Send requests that name 10,000 scattered jobs."""
    contender = kind()
    contender.start()
    try:
        cloud = contender.cloud
        done = cloud.map(identity, range(2 * _BATCHES))
        cloud.join(done)
        values = {
            "status, s": _seconds(lambda: cloud.status(done[::2])),
            "a call that depends on them, s": _seconds(
                lambda: cloud.result(cloud.call(identity, 7, _depends_on=done[::2]))
            ),
        }
        cloud.map(time.sleep, [600] * contender.slots)
        queued = cloud.map(identity, range(2 * _BATCHES))
        values["kill, s"] = _seconds(lambda: cloud.kill(queued[::2]))
        values["delete, s"] = _seconds(lambda: cloud.delete(queued[::2]))
        return values
    finally:
        contender.stop()


def _seconds(work: Callable[[], Any]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _together(work: Callable[[], Any], threads: int) -> None:
    running = [threading.Thread(target=work) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()


SCALES: dict[str, Callable[[type[PiCloud]], dict[str, Any]]] = {
    "slots": slots,
    "joins": joins,
    "batches": batches,
    "strides": strides,
}
"""What is measured, by name."""


if __name__ == "__main__":
    main()
