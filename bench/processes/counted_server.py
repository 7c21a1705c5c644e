"""`python -m picloud_api`, counted. Arguments: a prefix of files, `move` or `stay`, the server's.

With `stay`, connections stay in the process that accepted them, as if each process had a machine.

Each process writes its counts to a file of its own, four times a second.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picloud_api.app import Application
from picloud_api.background.events import EventDispatcher
from picloud_api.server.affinity import AccountAffinity
from picloud_api.server.gunicorn_server import serve
from picloud_api.settings import read
from picloud_api.store.commits import Commits
from picloud_driver.consul.gateway import ConsulGateway, Verb
from picloud_driver.state import Conflict
from picloud_driver.state.consul import ConsulState

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTS: Counter[str] = Counter()
_EVERY_S = 0.25


def main() -> None:
    """Serve until a signal ends the process."""
    prefix, moving = sys.argv[1:3]
    if moving == "stay":
        setattr(AccountAffinity, "owner_of", lambda *_: None)  # noqa: B010 - of a class
    _count_consul()
    _count_plans()
    _before(Application, "__call__", lambda *_: ["requests"])
    _before(EventDispatcher, "on_remote_events", lambda *_: ["reads of change logs"])
    _before(EventDispatcher, "resync", lambda *_: ["full looks"])
    opened = Application.__init__

    def init(self: Application, *arguments: Any, **named: Any) -> None:
        opened(self, *arguments, **named)
        threading.Thread(target=_write, args=(prefix,), daemon=True).start()

    Application.__init__ = init  # type: ignore[method-assign]
    serve(read(sys.argv[3:], os.environ))


def _write(prefix: str) -> None:
    path = Path(f"{prefix}.{os.getpid()}")
    while True:
        COUNTS["processor us"] = round(time.process_time() * 1e6)
        spare = Path(f"{path}.spare")
        spare.write_text(json.dumps(dict(COUNTS)), encoding="utf-8")
        spare.rename(path)
        time.sleep(_EVERY_S)


def _count_plans() -> None:
    run, plan = Commits.run, Commits.__dict__["_plan"]

    async def runs(self: Commits, change: Any) -> Any:
        COUNTS["changes"] += 1
        return await run(self, change)

    async def plans(self: Commits, group: Any) -> Any:
        COUNTS["plans"] += len(group)
        return await plan(self, group)

    for name, counted in (("run", runs), ("_plan", plans)):
        setattr(Commits, name, counted)


def _count_consul() -> None:
    transact, commit = ConsulGateway.transact, ConsulState.commit

    def counted(self: ConsulGateway, steps: Any) -> Any:
        reading = all(step.verb is Verb.GET for step in steps)
        COUNTS["Consul reads" if reading else "Consul writes"] += 1
        COUNTS["Consul bytes written"] += sum(len(step.value) for step in steps)
        return transact(self, steps)

    async def committed(self: ConsulState, operations: Any) -> Any:
        COUNTS["transactions tried"] += 1
        try:
            return await commit(self, operations)
        except Conflict as conflict:
            COUNTS["transactions refused"] += 1
            for kind in sorted({key.partition("/")[0] for key in conflict.keys}):
                COUNTS[f"refused for {kind}/"] += 1
            raise

    ConsulGateway.transact = counted  # type: ignore[method-assign]
    ConsulState.commit = committed  # type: ignore[method-assign]
    _before(ConsulGateway, "keys", lambda _, prefix: [f"Consul lists of {prefix[14:20]}"])
    _before(ConsulGateway, "wait", lambda *_: ["Consul watches"])


def _before(kind: type, name: str, names: Callable[..., list[str]]) -> None:
    inner = getattr(kind, name)

    @functools.wraps(inner)
    def counted(*arguments: Any, **named: Any) -> Any:
        COUNTS.update(names(*arguments))
        return inner(*arguments, **named)

    setattr(kind, name, counted)


if __name__ == "__main__":
    main()
