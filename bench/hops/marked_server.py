"""`python -m picloud_api`, with marks. Arguments: a file for marks, then those of the server."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from picloud_api import wiring
from picloud_api.app import Application
from picloud_api.server.gunicorn_server import serve
from picloud_api.settings import read
from picloud_driver.scheduler.local.scheduler import LocalScheduler
from picloud_driver.state.sqlite import SqliteState

from bench.environments import ROOT
from bench.hops.marks import Marks

_WORKER = (
    "import sys; sys.path.insert(0, sys.argv[1]); import bench.hops.marked_worker as m; m.main()"
)


def main() -> None:
    """Serve until a signal ends the process."""
    path = Path(sys.argv[1]).absolute()
    marks = Marks(path)
    called = Application.__call__

    def marked(self: Application, scope: Any, receive: Any, send: Any) -> Any:
        return _answered(marks, f"api {scope.get('path', '')}", called(self, scope, receive, send))

    Application.__call__ = marked  # type: ignore[method-assign]
    worker = (sys.executable, "-P", "-c", _WORKER, str(ROOT), str(path))
    wiring.__dict__["LocalScheduler"] = partial(LocalScheduler, command=worker)
    marks.around_async(SqliteState, "commit", lambda *_: "commit")
    settings = read(sys.argv[2:], os.environ)
    if settings.servers is not None:
        from picloud_driver.state.consul import ConsulState

        marks.around_async(ConsulState, "commit", lambda *_: "commit")
    serve(settings)


async def _answered(marks: Marks, name: str, answering: Any) -> None:
    marks.add(f"{name}+")
    await answering
    marks.add(f"{name}-")


if __name__ == "__main__":
    main()
