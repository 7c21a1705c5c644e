"""`python -m bench.pages`: web pages of an account with a million jobs, and many open dashboards.

first     the first page of the dashboard, requested by a browser that has none
page      the page of a job
search    the dashboard, searched for a text that no job has
open      dashboards that are open, which each ask every 2 s

Of each the CPU time of the server is measured, which other programs on the machine hardly change.

    python -m bench.pages                        # 3 minutes
    python -m bench.pages --maps 100 --seconds 5
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import signal
import time
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import psutil

from bench.contenders.picloud import Embedded
from bench.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_JOBS_OF_A_MAP: Final = 1_000
_EVERY_S: Final = 2.0
"""How often an open dashboard asks."""
_STAMP: Final = re.compile(r"stamp=([0-9a-f]+-\d+-\d+)")


class PageGoal(NamedTuple):
    """A row of the table, its unit, and how much it may be."""

    name: str
    unit: str
    most: float | None


GOALS: Final = {
    "first": PageGoal("first page of the dashboard", "ms", 100),
    "page": PageGoal("page of a job", "ms", 60),
    "search": PageGoal("search that finds nothing", "ms", None),
    "open": PageGoal("dashboards that are open", "% of a core", 10),
    "transactions": PageGoal("transactions for each of them", "", 0.1),
}


class Browser:
    """A connection with the session of a link."""

    def __init__(self, link: str) -> None:
        address = urlsplit(link)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port)
        self._connection.request("GET", address.path)
        reply = self._connection.getresponse()
        reply.read()
        self._cookie = (reply.getheader("Set-Cookie") or "").partition(";")[0]

    def get(self, path: str, **headers: str) -> str:
        """Return a page."""
        self._connection.request("GET", path, headers={"Cookie": self._cookie, **headers})
        reply = self._connection.getresponse()
        text = reply.read().decode()
        if reply.status not in (200, 204):
            raise SystemExit(f"{path} was answered with {reply.status}")
        return text


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.pages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--maps", type=int, default=1_000, help="maps of 1,000 jobs")
    parser.add_argument("--dashboards", type=int, default=200, help="open dashboards")
    parser.add_argument("--seconds", type=float, default=20, help="how long they are open")
    parser.add_argument("--runs", type=int, default=50, help="requests of each page")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    contender = Embedded(slots=1)
    contender.start()
    try:
        _print(_measure(contender, chosen), chosen)
    finally:
        contender.stop()


def _measure(contender: Embedded, chosen: argparse.Namespace) -> dict[str, float]:
    from cloud._client.current import client
    from cloud._resources.sign_in import SignInClient

    progress = Progress()
    jid = _make_jobs(chosen.maps, progress)
    browser = Browser(SignInClient(client().transport).link())
    processes = [psutil.Process(pid) for pid in contender.server_pids()]
    found: dict[str, float] = {}
    for name, path in (
        ("first", "/jobs"),
        ("page", f"/jobs/{jid}"),
        ("search", "/jobs?text=missing"),
    ):
        progress.tell(GOALS[name].name)
        browser.get(path)
        start_s = _cpu_s(processes)
        for _ in range(chosen.runs):
            browser.get(path)
        found[name] = 1000 * (_cpu_s(processes) - start_s) / chosen.runs
    progress.tell(GOALS["open"].name)
    matched = _STAMP.search(browser.get("/jobs"))
    assert matched
    before, transactions = _cpu_s(processes), _transactions(browser)
    start = time.perf_counter()
    for due in _times(chosen.dashboards / _EVERY_S, chosen.seconds):
        time.sleep(max(0.0, start + due - time.perf_counter()))
        browser.get(f"/jobs?stamp={matched[1]}")
    passed_s = time.perf_counter() - start
    found["open"] = 100 * (_cpu_s(processes) - before) / passed_s
    found["transactions"] = (_transactions(browser) - transactions) / chosen.dashboards
    progress.end()
    return found


def _make_jobs(maps: int, progress: Progress) -> int:
    """Make maps whose jobs never begin; return the jid of the last one."""
    import cloud

    first = cloud.call(time.sleep, 3600)
    jid = first
    for number in range(maps):
        if number % 50 == 0:
            progress.tell(f"{number * _JOBS_OF_A_MAP:,} jobs")
        jids = cloud.map(abs, range(_JOBS_OF_A_MAP), _depends_on=first, _label=f"m{number % 7}")
        jid = jids[-1]
    return int(jid)


def _times(a_second: float, seconds: float) -> Iterator[float]:
    return (number / a_second for number in range(int(a_second * seconds)))


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _transactions(browser: Browser) -> float:
    text = browser.get("/metrics", Authorization=f"Bearer {os.environ['PICLOUD_API_KEY']}")
    matched = re.search(r"^picloud_transactions_total (\S+)$", text, re.MULTILINE)
    assert matched
    return float(matched[1])


def _print(found: dict[str, float], chosen: argparse.Namespace) -> None:
    print(f"{chosen.maps * _JOBS_OF_A_MAP:,} jobs, {chosen.dashboards} open dashboards")
    for name, value in found.items():
        goal = GOALS[name]
        missed = "  MISSED" if goal.most is not None and value > goal.most else ""
        limit = "" if goal.most is None else f"  goal: <= {goal.most:g}{missed}"
        print(f"{goal.name:<30}{value:>8.2f} {goal.unit}{limit}")


if __name__ == "__main__":
    main()
