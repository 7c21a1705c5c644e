"""What PiCloud does, in half a minute: `make demo`.

The question: how long is a module of Python's standard library? The answer is a median with its
95 % confidence interval, by bootstrap: the files are drawn again, with replacement, some thousand
times. That is 100 jobs of about 100 ms each.

1. All of it here, in this process; then in the cloud. How much faster is that?
2. One of several jobs fails: what does its error say?
3. The same 100 jobs, and one more that waits for them and sums up. Everything is killed halfway:
   server, slots and jobs. Then the server is started again: is the answer the same?

    python examples/demo.py                      # on processes of this machine
    python examples/demo.py --stack hashicorp    # on Nomad, Consul, Vault and S3

It starts a stack of its own in a temporary directory, and removes both at the end.
"""

import argparse
import contextlib
import itertools
import os
import random
import signal
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cloud

DRAWS = 250
"""Samples that each job draws: about 100 ms of work."""

Estimate = tuple[float, float, float]


def resample(sizes: list[int], seed: int) -> list[float]:
    """Return the medians of samples that are drawn from sizes, with replacement."""
    draw = random.Random(seed)
    return [statistics.median(draw.choices(sizes, k=len(sizes))) for _ in range(DRAWS)]


def estimate(medians: list[list[float]]) -> Estimate:
    """Return the median, and the bounds of its 95 % confidence interval."""
    values = sorted(itertools.chain.from_iterable(medians))
    return (
        statistics.median(values),
        values[len(values) * 25 // 1000],
        values[len(values) * 975 // 1000],
    )


def estimate_from(jids: range) -> Estimate:
    """Return the estimate from the results of other jobs: this runs as a job itself."""
    return estimate(cloud.result(jids))


def median_of(sizes: list[int]) -> float:
    """Return the median of some sizes; raises an error for an empty list."""
    return statistics.median(sizes)


def module_sizes() -> list[int]:
    """Return the size in bytes of each module of the standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = (path for path in root.rglob("*.py") if "site-packages" not in path.parts)
    return sorted(path.stat().st_size for path in paths)


def show(answer: Estimate) -> str:
    """Describe an estimate."""
    median, low, high = answer
    return f"{median:,.0f} bytes (95 %: {low:,.0f} to {high:,.0f})"


def compare(sizes: list[int], jobs: int, slots: int) -> Estimate:
    """Run all jobs here and in the cloud; print how long both took and return the answer."""
    print(f"\n1. {jobs} jobs: in this process, then on {slots} slots")
    start = time.perf_counter()
    here = estimate([resample(sizes, seed) for seed in counted(range(jobs))])
    here_s = time.perf_counter() - start
    print(f"   here        {here_s:4.1f} s   {show(here)}")

    start = time.perf_counter()
    jids = cloud.map(lambda seed: resample(sizes, seed), range(jobs))
    there = estimate(cloud.result(jids))
    there_s = time.perf_counter() - start
    print(f"   on {slots} slots  {there_s:4.1f} s   {show(there)}")
    print(f"   {here_s / there_s:.1f} times as fast; {same(there, here)}.{busy(slots)}")
    return here


def busy(slots: int) -> str:
    """Say that other programs use the processors, if they do: then no slot has one of its own."""
    load = os.getloadavg()[0]
    return f" (The load of this machine is {load:.0f}: it is busy.)" if load > 2 * slots else ""


def counted(seeds: range) -> Iterator[int]:
    """Yield seeds; a terminal shows meanwhile how many are done."""
    for number, seed in enumerate(seeds):
        if sys.stdout.isatty():
            print(f"   here        {number}/{len(seeds)}", end="\r", flush=True)
        yield seed


def fail(sizes: list[int]) -> None:
    """Run four jobs, one of which fails, and print its error."""
    print("\n2. Four jobs, one of which gets an empty list")
    jids = cloud.map(median_of, [sizes[:100], sizes[100:200], [], sizes[200:]])
    cloud.join(jids, ignore_errors=True)
    print(f"   {', '.join(cloud.status(jids))}\n")
    try:
        cloud.result(jids)
    except cloud.CloudException as error:
        print(f"   {error}\n")
        for line in str(error.value).splitlines():
            print(f"   {line}")


def survive(sizes: list[int], jobs: int, stack: "Stack", expected: Estimate) -> None:
    """Kill everything while the jobs run, start the server again and compare the answer."""
    print("\n3. The same jobs, and one that waits for them and sums up. kill -9 of everything")
    jids = cloud.map(lambda seed: resample(sizes, seed), range(jobs))
    summary = cloud.call(estimate_from, jids, _depends_on=jids)
    for _ in itertools.islice(cloud.iresult(jids), jobs // 2):
        pass
    finished = cloud.status(jids).count("done")
    print(f"   {finished} of {jobs} jobs are done. Killed: {', '.join(stack.kill())}")

    start = time.perf_counter()
    stack.up()
    print(f"   picloud up, again: ready after {time.perf_counter() - start:.1f} s")
    cloud.join(jids)  # with a bar on a terminal
    answer = cloud.result(summary)
    print(f"   everything done: {time.perf_counter() - start:.1f} s after the kill")
    print(f"   job {summary} found: {show(answer)}; {same(answer, expected)}.")


def same(answer: Estimate, expected: Estimate) -> str:
    """Say that two answers are equal; end the program if they are not."""
    if answer != expected:
        sys.exit(f"ANOTHER ANSWER: {answer}, not {expected}")
    return "the same answer"


class Stack:
    """A stack of this program's own: its servers, slots and jobs."""

    def __init__(self, name: str, slots: int, home: Path) -> None:
        self._data = home / "data"
        self._options = ["--stack", name, "--data", str(self._data)]
        self._slots = str(slots)
        os.environ["PICLOUD_CONFIG_DIR"] = str(home / "config")

    def up(self) -> None:
        """Start the servers; jobs that a killed one left unfinished go on."""
        self._picloud("up", "--detach", "--port", "0", "--workers", self._slots, *self._options)

    def down(self) -> None:
        """Stop everything."""
        self._picloud("down", *self._options[2:])

    def kill(self) -> list[str]:
        """Kill every process of this stack at once; return how many there were of each program."""
        pids = self._processes()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)  # so that none starts or reports anything meanwhile
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        names = sorted(pids.values())
        return [f"{len([*group])} {name}" for name, group in itertools.groupby(names)]

    def _processes(self) -> dict[int, str]:
        """Return the processes that work in this stack's directory, and all that they started."""
        parents, found = {}, set()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                pid, after_name = int(entry.name), (entry / "stat").read_text().rpartition(")")[2]
                parents[pid] = int(after_name.split()[1])
                if str(self._data).encode() in (entry / "cmdline").read_bytes():
                    found.add(pid)
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        found.discard(os.getpid())
        return {pid: _program(pid) for pid in found}

    def _picloud(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("picloud")), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)


def _program(pid: int) -> str:
    """Return what a process runs: a program, or the module that Python runs."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return (
            words[words.index("-m") + 1] if "-m" in words else Path(words[0]).name.partition("-")[0]
        )
    return "ended"


@contextlib.contextmanager
def own_stack(name: str, slots: int) -> Iterator[Stack]:
    """Start a stack in a temporary directory; stop and remove it at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        stack = Stack(name, slots, Path(home))
        print(f"Starting the {name} stack ...", flush=True)
        stack.up()
        try:
            yield stack
        finally:
            stack.down()


def main() -> None:
    """Run the three parts on a stack of their own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stack", choices=["embedded", "hashicorp"], default="embedded")
    parser.add_argument("--jobs", type=int, default=100, help="how many jobs (default: 100)")
    options = parser.parse_args()
    slots = os.cpu_count() or 2
    with own_stack(options.stack, slots) as stack:
        sizes = module_sizes()
        print(f"How long is a module of Python's standard library? It has {len(sizes):,} modules.")
        expected = compare(sizes, options.jobs, slots)
        fail(sizes)
        survive(sizes, options.jobs, stack, expected)


if __name__ == "__main__":
    main()
