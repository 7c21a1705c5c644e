"""The ledger: what was acknowledged, what was executed, and what the results are."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from cloud import CloudTimeoutError

from tests.faults.traced_job import work
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

SETTLE_S = 120.0


class Account(NamedTuple):
    """The totals of a ledger.

    `acked` are jobs whose jids were returned. Of these, `lost` did not end as done,
    `duplicated_visible` showed two different results, `wrong_value` showed a wrong result or that
    of an execution that never ended, and `stuck` did not end at all. `orphans` are processes that
    are left.
    """

    submitted: int
    acked: int
    lost: int
    duplicated_visible: int
    wrong_value: int
    executions_max: int
    executions_total: int
    stuck: int
    orphans: int

    @property
    def kept(self) -> bool:
        """Return whether every promise was kept."""
        broken = self.lost, self.duplicated_visible, self.wrong_value, self.stuck, self.orphans
        return self.submitted == self.acked and not any(broken)

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self._asdict().items())


class Ledger:
    """Jobs on a stack of the test's own, and the traces of their executions."""

    def __init__(self, stack: Stack, name: str = "executions") -> None:
        self.stack = stack
        self.client: Client = stack.client(patient=True)
        self.submitted = 0
        self.jids: list[int] = []
        self._folder = stack.shared / name
        self._folder.mkdir()

    def submit(self, count: int, seconds: float = 0.0) -> None:
        """Make a map of more jobs that take some seconds each."""
        numbers = range(self.submitted, self.submitted + count)
        self.submitted += count
        job = partial(work, folder=str(self._folder), seconds=seconds)
        self.jids += self.client.map(job, numbers)

    def submit_meanwhile(self, batches: int, count: int) -> threading.Thread:
        """Make maps one after the other in a thread."""

        def submit() -> None:
            for _ in range(batches):
                self.submit(count)

        thread = threading.Thread(target=submit)
        thread.start()
        return thread

    def executed(self) -> Counter[int]:
        """Return how often each job, by its number, has started."""
        return Counter(int(trace.name.partition("-")[0]) for trace in self._folder.iterdir())

    def until_executed(self, count: int) -> None:
        """Wait until there were so many executions."""
        until(lambda: len(list(self._folder.iterdir())) >= count, f"{count} executions")

    def all_ended(self) -> bool:
        """Return whether every execution that started has ended."""
        return all(trace.read_text().endswith("ended\n") for trace in self._folder.iterdir())

    def join(self) -> None:
        """Wait until every job has ended; no longer than they should take."""
        with contextlib.suppress(CloudTimeoutError):
            self.client.join(self.jids, SETTLE_S, ignore_errors=True)

    def settle(self) -> Account:
        """Wait for the end, restart the stack and read again, stop it, and return the totals."""
        self.join()
        statuses = self.client.status(self.jids)
        stuck = sum(status in ("queued", "waiting", "processing") for status in statuses)
        results = self._results(statuses)
        self.stack.restart()
        again = self._results(self.client.status(self.jids))
        executed = self.executed()
        traces = Account(
            submitted=self.submitted,
            acked=len(self.jids),
            lost=sum(status != "done" for status in statuses),
            duplicated_visible=sum(one != two for one, two in zip(results, again, strict=True)),
            wrong_value=sum(map(self._is_wrong, range(len(results)), results)),
            executions_max=max(executed.values()),
            executions_total=executed.total(),
            stuck=stuck,
            orphans=self._orphans(),
        )
        print(f"\n{traces}")
        return traces

    def _results(self, statuses: Sequence[str]) -> list[Any]:
        done = [jid for jid, status in zip(self.jids, statuses, strict=True) if status == "done"]
        by_jid = dict(zip(done, self.client.result(done, SETTLE_S), strict=True))
        return [by_jid.get(jid) for jid in self.jids]

    def _is_wrong(self, number: int, result: Any) -> bool:
        if result is None:
            return False
        value, name = result
        trace = self._folder / name
        whole = trace.exists() and trace.read_text() == "began\nended\n"
        return not whole or value != number**2 or not name.startswith(f"{number}-")

    def _orphans(self) -> int:
        self.client.close()
        self.stack.stop()
        with contextlib.suppress(TimeoutError):
            until(lambda: not self.stack.processes(), "nothing is left", 30)
        return len(self.stack.processes())
