"""`python -m picloud_worker`, with marks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from picloud_worker import __main__ as worker
from picloud_worker.api.client import ApiClient
from picloud_worker.child.loop import ChildLoop
from picloud_worker.supervisor.child_process import ChildProcess
from picloud_worker.supervisor.executor import SlotExecutor

from bench.hops.marks import Marks


def main() -> None:
    """Run a worker. Arguments: the repository's path, a file for marks, those of a worker."""
    marks = Marks(Path(sys.argv[2]))
    del sys.argv[1:3]
    marks.around(ApiClient, "post", lambda _self, path, *_, **__: f"slot {path}")
    marks.around(ChildProcess, "assign", lambda *_: "give")
    marks.around(ChildLoop, "_carry_out", lambda *_: "child")
    record = SlotExecutor._record  # noqa: SLF001 - marks are set from outside

    def marked(self: Any, done: Any) -> None:
        marks.add("run+", done.report.started_at)
        marks.add("run-", done.report.finished_at)
        marks.add("collected")
        record(self, done)

    SlotExecutor._record = marked  # type: ignore[method-assign]  # noqa: SLF001
    sys.exit(worker.main())
