"""`python -m bench.processes`: one, two and four API processes under one account, in turns.

Eight clients, each a process, call one after the other on the HashiCorp stack, followed by maps of
30,000. The operations of each API process are counted from outside (`counted_server.py`).

    python -m bench.processes                       # 1, 2 and 4 processes, three turns
    python -m bench.processes --processes 1 2 --turns 5 --seconds 10
    python -m bench.processes --stay                # connections stay where they were accepted,
                                                     # as if each process had a machine of its own
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import load
from bench.hops.stacks import served
from bench.measures import identity

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLIENTS = 8
_SLOTS = 4
_MAP = 30_000


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.processes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--stay", action="store_true", help="no connection moves")
    parser.add_argument("--json", type=Path, default=Path("bench/results/processes.json"))
    chosen = parser.parse_args()
    turns_by_count: dict[int, list[dict[str, float]]] = defaultdict(list)
    for _ in range(chosen.turns):
        for count in chosen.processes:
            turns_by_count[count].append(measured(count, chosen.seconds, stay=chosen.stay))
            print(f"{count}: {turns_by_count[count][-1]['calls/s']:.0f} calls/s", flush=True)
    print(table(turns_by_count))
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(turns_by_count, indent=1), encoding="utf-8")


def measured(processes: int, seconds: float, *, stay: bool) -> dict[str, float]:
    """Return the operations a call, and the calls and mapped jobs a second, of a new stack."""
    home = Path(tempfile.mkdtemp(prefix="picloud-processes-"))
    command = ("bench.processes.counted_server", str(home / "counts"), "stay" if stay else "move")
    options = ("--processes", str(processes))
    try:
        with served("hashicorp", home, command, options, slots=_SLOTS) as address:
            os.environ["PICLOUD_URL"], os.environ["PICLOUD_API_KEY"] = address.url, address.key
            return _load(home / "counts", seconds)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _load(counts: Path, seconds: float) -> dict[str, float]:
    from cloud._client.client import Client
    from cloud._config.configuration import Config
    from cloud._http.transport import ServerAddress

    client = Client(
        ServerAddress(os.environ["PICLOUD_URL"], os.environ["PICLOUD_API_KEY"]), Config()
    )
    with contextlib.closing(client):
        client.result(client.map(identity, range(1000)), timeout=60)
        calls, lasted, before, after = load.between(_CLIENTS, seconds, lambda: _counted(counts))
        after.subtract(before)
        took = []
        for _ in range(3):
            start = time.monotonic()
            client.result(client.map(identity, range(_MAP)), timeout=120)
            took.append(time.monotonic() - start)
    each = {name: count / (calls * lasted) for name, count in sorted(after.items())}
    each["processor ms"] = each.pop("processor us") / 1000
    return {"calls/s": calls, "jobs/s of a map": _MAP / statistics.median(took), **each}


def _counted(counts: Path) -> Counter[str]:
    time.sleep(0.3)  # they write four times a second
    totals: Counter[str] = Counter()
    for path in counts.parent.glob(f"{counts.name}.*"):
        if path.suffix != ".spare":
            totals.update(json.loads(path.read_text(encoding="utf-8")))
    return totals


def table(turns_by_count: dict[int, list[dict[str, float]]]) -> str:
    """Return the table: medians over the turns, everything but rates a call."""
    names: dict[str, None] = {}
    for turns in turns_by_count.values():
        for turn in turns:
            names.update(dict.fromkeys(turn))
    lines = [
        f"{'a call, unless it says /s':<32}" + "".join(f"{count:>12}" for count in turns_by_count)
    ]
    for name in names:
        values = [_median(turns, name) for turns in turns_by_count.values()]
        lines.append(f"{name:<32}" + "".join(f"{value:>12,.2f}" for value in values))
    return "\n".join(lines)


def _median(turns: Sequence[dict[str, Any]], name: str) -> float:
    return statistics.median(turn.get(name, 0.0) for turn in turns)


if __name__ == "__main__":
    main()
