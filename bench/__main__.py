"""`python -m bench`: runs every measure for every contender, in turn, and prints a table.

Each number is the median of several runs; each run is a fresh process. The contenders take turns
within a run (A B, A B, ...), so that a machine that slows down slows all of them.

    python -m bench                          # everything, 5 runs
    python -m bench --runs 3 --only call map10k
    python -m bench --stacks embedded loky   # without the servers of the HashiCorp stack
    python -m bench --json results.json
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from bench.contenders import CONTENDERS
from bench.measures import MEASURES, Measure

Results = dict[str, dict[str, list[float]]]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each measure")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--stacks", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--json", type=Path, default=Path("bench/results/latest.json"))
    parser.add_argument("--one", nargs=2, metavar=("CONTENDER", "MEASURE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(*chosen.one)))
        return
    results = measured(chosen.only, chosen.stacks, chosen.runs)
    imports = [import_ms() for _ in range(chosen.runs)]
    print(table(results, imports))
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps({"machine": machine(), "import_ms": imports, **results}))
    print(f"\nEvery run: {chosen.json}")


def one(contender_name: str, measure: str) -> float:
    """One run in this process."""
    contender = CONTENDERS[contender_name]()
    contender.start()
    try:
        return float(MEASURES[measure].run(contender))
    finally:
        contender.stop()


def measured(measures: list[str], contenders: list[str], runs: int) -> Results:
    """All runs, with a line of progress each."""
    results: Results = {key: {name: [] for name in contenders} for key in measures}
    for key in measures:
        for run in range(runs):
            for name in contenders:
                print(f"\r\x1b[K{MEASURES[key].name}: {name}, run {run + 1} of {runs}",
                      end="", file=sys.stderr, flush=True)  # fmt: skip
                results[key][name].append(in_a_fresh_process(name, key))
    print("\r\x1b[K", end="", file=sys.stderr)
    return results


def in_a_fresh_process(contender: str, measure: str) -> float:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "bench", "--one", contender, measure]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        sys.exit(f"\n{contender}, {measure}: failed\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def import_ms() -> float:
    """Milliseconds `import cloud` takes beyond starting Python."""
    script = "import time; s = time.perf_counter(); import cloud; print(time.perf_counter() - s)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return float(done.stdout) * 1000


def machine() -> str:
    """What the numbers were measured on."""
    cores = len(Path("/proc/cpuinfo").read_text(encoding="utf-8").split("processor\t")) - 1
    return f"{platform.platform()}, {cores} cores, Python {platform.python_version()}"


def table(results: Results, imports: list[float]) -> str:
    """The medians, with how they stand to the goal."""
    names = list(next(iter(results.values())))
    head = f"{'median (goal)':<30}" + "".join(f"{name:>27}" for name in names)
    lines = [machine(), "", head, "-" * len(head)]
    for key, by_name in results.items():
        measure = MEASURES[key]
        cells = [_cell(measure, name, statistics.median(by_name[name])) for name in names]
        lines.append(f"{measure.name:<30}" + "".join(f"{cell:>27}" for cell in cells))
    lines.append(f"{'import cloud':<30}{f'{statistics.median(imports):.0f} ms (<= 100)':>27}")
    return "\n".join(lines)


def _cell(measure: Measure, contender: str, value: float) -> str:
    goal = measure.goals.get(contender)
    sign = "<=" if measure.better == "lower" else ">="
    return _number(value, measure.unit) + (f" ({sign} {goal:,g})" if goal is not None else "")


def _number(value: float, unit: str) -> str:
    if math.isnan(value):
        return "-"
    digits = 0 if value >= 100 else 2
    return f"{value:,.{digits}f} {unit}"


if __name__ == "__main__":
    main()
