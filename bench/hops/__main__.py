"""`python -m bench.hops`: where the time of one warm call goes.

Server and slots run with marks set from outside (`marked_server.py`, `marked_worker.py`); the
product's code is unchanged. Each share is the median over many calls. The floors are measured
separately, without any of our code.

    python -m bench.hops                    # the embedded stack
    python -m bench.hops --stack hashicorp  # the same over Nomad, Consul, Vault and S3
    python -m bench.hops --calls 2000
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.hops import marks, stacks
from bench.hops.floors import floors
from bench.measures import identity

_WARM = 100


class Hop(NamedTuple):
    """The time from one mark to the next."""

    name: str
    until: str


HOPS = (
    Hop("client: pack function and arguments", "client submits"),
    Hop("submit travels to the API", "api /v1/jobs+"),
    Hop("API: recognise, decode, check, plan batch and lease", "commit+"),
    Hop("commit 1: the batch and its lease", "commit-"),
    Hop("API: wake the slot's wait, answer; travels to the slot", "slot /v1/work-"),
    Hop("slot: take the lease, see to the child", "give+"),
    Hop("slot hands over; child: wake, decode, claim", "run+"),
    Hop("child: unpickle, run, pickle", "run-"),
    Hop("result travels to the slot", "collected"),
    Hop("slot: write the report", "slot /v1/work+"),
    Hop("report travels to the API", "api /v1/work+"),
    Hop("API: recognise, decode, check, plan", "commit+"),
    Hop("commit 2: the result", "commit-"),
    Hop("API: wake the wait, answer; travels to the client", "client has result"),
)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.hops",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", choices=("embedded", "hashicorp"), default="embedded")
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--no-floors", action="store_true", help="only the hops")
    chosen = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="picloud-hops-"))
    try:
        with stacks.marked(chosen.stack, home) as address:
            whole = calls(address, home / "marks", chosen.calls)
        shares, complete = waterfall(marks.read(home / "marks"))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(table(shares, complete, whole))
    if not chosen.no_floors:
        print("\nfloors                                                        ms")
        for name, took in floors().items():
            print(f"{name:<60}{took:7.3f}")


def calls(address: Any, path: Path, count: int) -> float:
    """Make calls one after the other, with marks; the median of submit to result, in ms."""
    from cloud._client.client import Client
    from cloud._config.configuration import Config
    from cloud._http.transport import Transport

    mine = marks.Marks(path)
    client = Client(address, Config())
    for number in range(_WARM):
        client.result(client.call(identity, number), timeout=30)
    mine.add("begin")
    mine.around(Transport, "send", lambda *_: "client sends")
    times = []
    for number in range(count):
        start = time.time()
        jid = client.call(identity, number)
        client.result(jid, timeout=30)
        end = time.time()
        mine.add("client begins", start)
        mine.add("client has result", end)
        times.append(end - start)
    client.close()
    return statistics.median(times) * 1000


def waterfall(recorded: list[marks.Mark]) -> tuple[dict[str, list[float]], int]:
    """Return the milliseconds of each hop, of each call that shows all marks in their order."""
    renamed = [
        marks.Mark(each.at, "client submits" if each.name == "client sends+" else each.name)
        for each in recorded
    ]
    begun = next(at for at, each in enumerate(renamed) if each.name == "begin")
    shares: dict[str, list[float]] = {f"{at}": [] for at in range(len(HOPS))}
    complete = 0
    starts = [at for at, each in enumerate(renamed) if each.name == "client begins" and at > begun]
    for start, after in zip(starts, [*starts[1:], len(renamed)], strict=True):
        took = _one(renamed[start:after])
        if took is not None:
            complete += 1
            for at, value in enumerate(took):
                shares[f"{at}"].append(value)
    return shares, complete


def _one(part: list[marks.Mark]) -> list[float] | None:
    took, at, before = [], 1, part[0].at
    for hop in HOPS:
        while at < len(part) and part[at].name != hop.until:
            at += 1
        if at == len(part):
            return None
        took.append((part[at].at - before) * 1000)
        before = part[at].at
        at += 1
    return took


def table(shares: dict[str, list[float]], complete: int, whole: float) -> str:
    """Return the table."""
    lines = [
        f"{complete} calls, submit to result: p50 {whole:.3f} ms",
        f"{'hop':<60}{'p50 ms':>7}{'share':>7}",
    ]
    medians = [statistics.median(shares[f"{at}"] or [float("nan")]) for at in range(len(HOPS))]
    for hop, took in zip(HOPS, medians, strict=True):
        lines.append(f"{hop.name:<60}{took:7.3f}{took / sum(medians):7.0%}")
    lines.append(f"{'all':<60}{sum(medians):7.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
