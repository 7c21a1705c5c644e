"""`python -m bench`: runs every measure for every contender, in turn, and prints a table.

Each number is the median of several runs; each run is a fresh process. The contenders take turns
within a run (A B, A B, ...), so that a machine that slows down slows all of them. Each peer runs in
an environment of its own, which `make bench` makes; if one cannot be installed, the reason is below
the table. A peer whose run takes longer than a minute runs once.

    python -m bench                               # everything, 5 runs
    python -m bench --runs 3 --only call map10k
    python -m bench --contenders embedded loky    # without the servers of the HashiCorp stack
    python -m bench --only map1m crons memory     # what takes minutes
    python -m bench --json results.json
    python -m bench --history bench/history.jsonl # and say what moved since the last entry

`python -m bench.transfers`, `python -m bench.ports`, `python -m bench.images`, `python -m
bench.scale`, `python -m bench.soak` and `python -m bench.hops` measure more; each has a --help of
its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from bench import environments, history
from bench.measures import MEASURES, ROWS, USUAL, Row
from bench.progress import Progress
from bench.registry import CONTENDERS, OURS
from bench.table import Report, Results

_LONGEST_S = 600.0
_END_S = 60.0
_ONCE_S = 60.0
"""A peer's run that took longer is not repeated."""
_STARTS = {
    "import": (Row("import cloud", "ms", "lower", {"embedded": 75}), ["-c", "import cloud"]),
    "help": (Row("picloud --help", "ms", "lower", {"embedded": 250}), ["-m", "picloud", "--help"]),
}
"""What everybody waits for, whatever the stack: rows, and programs for a fresh Python."""

ROWS.update({key: row for key, (row, _) in _STARTS.items()})


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each measure")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=USUAL)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--json", type=Path, default=Path("bench/results/latest.json"))
    parser.add_argument("--history", type=Path, help="add the ratios to a file of JSON lines")
    parser.add_argument("--one", nargs=2, metavar=("CONTENDER", "MEASURE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(*chosen.one)))
        return
    report = Measuring(chosen.contenders, chosen.runs).all(chosen.only)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(report.as_json(), indent=1), encoding="utf-8")
    print(f"{report.text()}\n\nEvery run: {chosen.json}")
    if chosen.history:
        print(history.record(report, chosen.history))
    if any(what.split(",")[0] in OURS for what in report.absent):
        sys.exit(1)


def one(contender_name: str, measure: str) -> dict[str, float]:
    """Carry out one run in this process."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it is stopped in order
    contender = CONTENDERS[contender_name]()
    contender.start()
    try:
        return MEASURES[measure].run(contender)
    finally:
        contender.stop()


class Measuring:
    """All runs; each is shown on a progress line."""

    def __init__(self, contenders: list[str], runs: int) -> None:
        self._contenders = contenders
        self._runs = runs
        self._results: Results = {}
        self._absent: dict[str, str] = {}
        self._progress = Progress()
        for name in contenders:
            if name not in OURS and (why := environments.missing(name)):
                self._absent[name] = why

    def all(self, measures: list[str]) -> Report:
        """Run these measures; a failure is recorded, and the others go on."""
        for key in measures:
            for row in MEASURES[key].rows:
                self._results[row] = defaultdict(list)
            self._measure(key)
        if "embedded" in self._contenders:
            for key, (_, program) in _STARTS.items():
                self._results[key] = {"embedded": [start_ms(program) for _ in range(self._runs)]}
        self._progress.end()
        return Report(machine(self._runs), self._contenders, self._results, self._absent)

    def _measure(self, key: str) -> None:
        taking_part = [name for name in self._contenders if self._takes_part(name, key)]
        for run in range(self._runs):
            for name in list(taking_part):
                self._progress.tell(f"{key}: {name}, run {run + 1} of {self._runs}")
                start = time.monotonic()
                try:
                    values = in_a_fresh_process(name, key)
                except RuntimeError as error:
                    self._absent[f"{name}, {key}"] = str(error)
                    taking_part.remove(name)
                    continue
                for row, value in values.items():
                    if not math.isnan(value):
                        self._results[row][name].append(value)
                if name not in OURS and time.monotonic() - start > _ONCE_S:
                    taking_part.remove(name)

    def _takes_part(self, name: str, key: str) -> bool:
        if name in self._absent or (MEASURES[key].ours and name not in OURS):
            return False
        if (needed := MEASURES[key].needs) and needed not in CONTENDERS[name].has:
            return False
        if key in (lacks := CONTENDERS[name].lacks):
            self._absent[f"{name}, {key}"] = lacks[key]
            return False
        return True


def in_a_fresh_process(contender: str, measure: str) -> dict[str, float]:
    """Carry out one run in a process of its own, that of a peer in the peer's environment.

    Raises:
        RuntimeError: When it failed; with the reason.
    """
    python, environment = sys.executable, dict(os.environ)
    if contender not in OURS:
        python = str(environments.python(contender))
        # Their workers have to find the functions they are to run, and their own programs.
        environment["PYTHONPATH"] = str(environments.ROOT)
        environment["PATH"] = f"{Path(python).parent}{os.pathsep}{environment['PATH']}"
    process = subprocess.Popen(
        [python, "-m", "bench", "--one", contender, measure],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=environments.ROOT,
        start_new_session=True,
    )
    try:
        output, complaint = process.communicate(timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.communicate(timeout=_END_S)
        raise RuntimeError(f"not done after {_LONGEST_S:.0f} s") from None
    finally:
        _end_group(process.pid)
    lines = output.splitlines()
    if process.returncode or not lines:
        ended = complaint.strip().splitlines() or [f"exit status {process.returncode}"]
        raise RuntimeError(ended[-1][:300])
    values: dict[str, float] = json.loads(lines[-1])
    return values


def _end_group(leader: int) -> None:
    """End what a peer has left running; our stacks end by themselves, in sessions of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def start_ms(program: list[str]) -> float:
    """Return the milliseconds that a program takes beyond starting Python; the least of five."""
    # Without this variable later runs find compiled modules, as those of users do.
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def took(arguments: list[str]) -> float:
        command = [sys.executable, *arguments]
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True, env=environment)
        return (time.perf_counter() - start) * 1000

    return min(took(program) for _ in range(5)) - min(took(["-c", ""]) for _ in range(5))


def machine(runs: int) -> str:
    """Return what the numbers were measured on."""
    cores = len(Path("/proc/cpuinfo").read_text(encoding="utf-8").split("processor\t")) - 1
    return (
        f"{platform.platform()}, {cores} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}, {runs} runs each"
    )


if __name__ == "__main__":
    main()
