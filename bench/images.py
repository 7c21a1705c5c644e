"""`python -m bench.images`: what environments cost, on one of the stacks.

call      warm calls in an environment and in the base, in turns
auto      the first call of a process with `_env="auto"` and nothing new, and one without
later     the calls after these
build     20 packages from a lock and a warm cache of uv, compared with `uv sync`
save      a setup machine of 1 GB in which 10 MB have changed is saved
first     the first job after that

    python -m bench.images                         # two minutes; packages come from an index
    python -m bench.images --contender hashicorp --megabytes 100 --runs 1
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import sysconfig
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.contenders.picloud import Embedded, HashiCorp
from bench.environments import ROOT
from bench.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CALLS: Final = 200
_PROCESSES: Final = 5
_CHANGED_MB: Final = 10
_PACKAGES: Final = (
    *("attrs", "boto3", "certifi", "click", "falcon", "fsspec", "gunicorn", "httptools", "idna"),
    *("jinja2", "joblib", "numpy", "packaging", "pillow", "pydantic", "pyjwt", "requests"),
    *("rich", "structlog", "typer"),
)
"""Twenty that this project's own environments have; the lock is made by uv."""
_FIRST: Final = """
import cloud, json, os, time
def timed(**options):
    start = time.perf_counter()
    cloud.result(cloud.call(abs, -1, **options))
    return (time.perf_counter() - start) * 1000
options = {"_env": "auto"} if os.environ["BENCH_ENV"] else {}
print(json.dumps([timed(**options)] + [timed(**options) for _ in range(50)]))
"""


class ImageGoal(NamedTuple):
    """A row of the table; `limit` is what the two numbers must not exceed, if any.

    It holds for the ratio of the numbers (`ratio`), their difference, or for the first one.
    """

    name: str
    unit: str
    against: str
    limit: float | None
    of: str


def _goal(
    name: str, unit: str, against: str = "", *, of: str = "", limit: float | None = None
) -> ImageGoal:
    return ImageGoal(name=name, unit=unit, against=against, limit=limit, of=of)


GOALS: Final = {
    "call": _goal("warm call", "ms", "base", of="ratio", limit=1.05),
    "auto": _goal("first call, auto", "ms", "without", of="difference", limit=30),
    "later": _goal("later calls, auto", "ms", "without", of="ratio", limit=1.05),
    "build": _goal("20 packages", "s", "uv sync", of="ratio", limit=1.3),
    "save": _goal("save", "s"),
    "first": _goal("first job after it", "s", of="first", limit=1.5),
}


class Measured(NamedTuple):
    """A number of ours, and the one it is compared with; 0 if there is none."""

    ours: float
    other: float = 0.0

    def of(self, what: str) -> float:
        """Return what a limit holds for.

        >>> Measured(3.0, 2.0).of("ratio"), Measured(3.0, 2.0).of("difference")
        (1.5, 1.0)
        """
        if what == "ratio":
            return self.ours / self.other
        return self.ours - (self.other if what == "difference" else 0.0)


class Images:
    """The measures, with a server that runs.

    Args:
        home: A directory to work in.
        megabytes: The size of the setup machine that is saved.
    """

    def __init__(self, home: Path, megabytes: int) -> None:
        self._home = home
        self._megabytes = megabytes
        self._numbers = count(1)

    def prepare(self) -> None:
        """Make what all runs share: environments, a lock, and the cache of uv."""
        from cloud import environment

        environment.build("bench", {"texts": {"share/bench": "1"}}, show=len)
        self._begin(auto=True)
        project = self._home / "project"
        project.mkdir()
        minor = f"{sys.version_info.major}.{sys.version_info.minor}"
        (project / "pyproject.toml").write_text(
            f'[project]\nname = "bench-images"\nversion = "1"\nrequires-python = "=={minor}.*"\n'
            f"dependencies = {json.dumps(_PACKAGES)}\n"
            f"[tool.uv]\nconstraint-dependencies = {json.dumps(_constraints())}\n"
        )
        _uv(project, "lock")
        # So that both find all wheels in a cache afterwards.
        self._build()
        self._synced()

    def run(self) -> dict[str, Measured]:
        """Take each measure that needs no setup machine once."""
        calls = {env: list[float]() for env in ("bench", None)}
        for _ in range(_CALLS // 10):
            for env, times in calls.items():
                # The first may start a child.
                times.extend([_call(env) for _ in range(11)][1:])
        median = statistics.median
        begun = {auto: list[list[float]]() for auto in (True, False)}
        for _ in range(_PROCESSES):
            for auto, processes in begun.items():
                processes.append(self._begin(auto=auto))
        firsts = {auto: median([times[0] for times in begun[auto]]) for auto in begun}
        laters = {auto: median([median(times[1:]) for times in begun[auto]]) for auto in begun}
        return {
            "call": Measured(median(calls["bench"]), median(calls[None])),
            "auto": Measured(firsts[True], firsts[False]),
            "later": Measured(laters[True], laters[False]),
            "build": Measured(_seconds(self._build), self._synced()),
        }

    def save(self) -> dict[str, Measured]:
        """Save a setup machine in which something has changed; call `prepare_machine` before."""
        from cloud import environment

        self._write(f"changed{next(self._numbers)}", _CHANGED_MB)
        saved = _seconds(lambda: environment.save("grown", show=len))
        return {"save": Measured(saved), "first": Measured(_call("grown") / 1000)}

    def prepare_machine(self) -> None:
        """Make the setup machine, and save it once."""
        from cloud import environment

        base = environment.list_bases()[0]["name"]
        environment.create("grown", base)
        self._write("large", self._megabytes)
        environment.save("grown", show=len)
        _call("grown")

    def _begin(self, *, auto: bool) -> list[float]:
        """Return the milliseconds of the calls of a fresh process."""
        variables = {**os.environ, "BENCH_ENV": "auto" if auto else ""}
        # Without this variable later runs find compiled modules, as those of users do.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        done = subprocess.run(
            [sys.executable, "-c", _FIRST],
            env=variables,
            cwd=self._home,
            capture_output=True,
            text=True,
            check=True,
        )
        times: list[float] = json.loads(done.stdout)
        return times

    def _build(self) -> None:
        from cloud import environment

        recipe: dict[str, Any] = {"lock": str(self._home / "project" / "uv.lock")}
        # Equal recipes are built once.
        recipe["texts"] = {"share/run": str(next(self._numbers))}
        environment.build("twenty", recipe, show=len)

    def _synced(self) -> float:
        """Return the seconds of `uv sync` into a new directory."""
        shutil.rmtree(self._home / "project" / ".venv", ignore_errors=True)
        return _seconds(lambda: _uv(self._home / "project", "sync", "--frozen"))

    def _write(self, name: str, megabytes: int) -> None:
        from cloud import environment

        code = environment.ssh("grown", f"head -c {megabytes * 1_000_000} /dev/urandom > {name}")
        if code:
            raise RuntimeError(f"the setup machine could not write {name}: exit status {code}")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.images",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stacks = {"embedded": Embedded, "hashicorp": HashiCorp}
    parser.add_argument("--contender", choices=stacks, default="embedded")
    parser.add_argument("--megabytes", type=int, default=1000, help="what the machine has")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measure")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A lock is read by uv.
    os.environ["PATH"] = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    contender = stacks[chosen.contender](slots=3)
    contender.start()
    progress = Progress()
    runs = []
    try:
        progress.tell("environments and a lock")
        images = Images(contender.home, chosen.megabytes)
        images.prepare()
        for run in range(chosen.runs):
            progress.tell(f"run {run + 1} of {chosen.runs}")
            runs.append(images.run())
        # Last, as writing so much makes everything else slower for a while.
        progress.tell("a setup machine")
        images.prepare_machine()
        for run in range(chosen.runs):
            progress.tell(f"save {run + 1} of {chosen.runs}")
            runs[run] |= images.save()
    finally:
        contender.stop()
    progress.end()
    print(table(runs))


def table(runs: list[dict[str, Measured]]) -> str:
    """Return the medians of runs as text, each with its limit.

    >>> print(table([{"first": Measured(2.0)}]))
    median of the runs                             compared with
    first job after it         2.00 s  <= 1.50  MISSED
    """
    lines = [f"{'median of the runs':<22}{'':>22}   compared with"]
    for key in runs[0]:
        goal = GOALS[key]
        middle = Measured(*map(statistics.median, zip(*(run[key] for run in runs), strict=True)))
        line = f"{goal.name:<22}{middle.ours:>9.2f} {goal.unit}"
        if goal.against:
            line += f"{middle.other:>9.2f} {goal.unit} ({goal.against})"
        if goal.limit is not None:
            found = middle.of(goal.of)
            line += f"  {goal.of} {found:.2f}" if goal.against else ""
            line += f"  <= {goal.limit:.2f}" + ("  MISSED" if found > goal.limit else "")
        lines.append(line)
    return "\n".join(lines)


def _call(env: str | None) -> float:
    """Return the milliseconds of a call."""
    import cloud

    options = {"_env": env} if env else {}
    return _seconds(lambda: cloud.result(cloud.call(abs, -1, **options))) * 1000


def _constraints() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if "==" in line and line[0] != "#"]


def _uv(folder: Path, *arguments: str) -> None:
    inherited = {name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}
    command = [sys.executable, "-m", "uv", "--quiet", *arguments, "--python", sys.executable]
    subprocess.run(command, cwd=folder, env=inherited, check=True)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
