"""Make the data directory of an earlier version, for tests that open it with today's code.

    git worktree add /tmp/old 44d3491 && make -C /tmp/old .venv/.users
    /tmp/old/.venv/bin/python tests/e2e/stored/make.py 44d3491 tests/e2e/stored

writes `44d3491.tar.xz`, the data directory of an embedded server that was killed while it had work
to do, and `44d3491.json`, which names its jobs. It uses the public interface only, so that any
version can run it. Jobs of its first round are sealed, those of the second have finished, and those
of the third run, are queued, or wait for other jobs. It takes about a minute and a half, since a
batch is sealed a minute after its last job. The keys in it are for tests and open nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import cloud
import cloud.shell

SERVER = """
import runpy
from picloud_driver.state.sqlite import SqliteState
SqliteState.bounded = True
runpy.run_module("picloud_api", run_name="__main__", alter_sys=True)
"""
"""The embedded server; it seals as one with a bounded state store does, such as Consul."""
LARGE = 400_000
"""Bytes that no pack of the state store takes."""

SEALED_S = 75.0
"""After so long a finished batch is sealed: a minute, and a look every ten seconds."""


def start(data: Path, *, slots: int) -> subprocess.Popen[bytes]:
    """Start a server on the directory and connect this process to it."""
    read, write = os.pipe()
    options = ["--data", str(data), "--port", "0", "--slots", str(slots)]
    server = subprocess.Popen(
        [sys.executable, "-P", "-c", SERVER, *options, "--ready-fd", str(write)],
        pass_fds=[write],
        start_new_session=True,
    )
    os.close(write)
    with os.fdopen(read) as ready:
        address = json.loads(ready.readline())
    cloud.setkey(address["key"], server_url=address["url"])
    return server


def finished_jobs() -> dict[str, Any]:
    """Run one job of each kind to its end; their jids by kind."""
    factor = 3

    def fails(text: str) -> None:
        raise ValueError(f"no {text} today")

    jids: dict[str, Any] = {
        "builtin": cloud.call(pow, 2, 10, _label="powers"),
        "keyword": cloud.call(int, "ff", base=16),
        "closure": cloud.call(lambda x: x * factor, 14),
        "map": cloud.map(pow, [1, 2, 3], [2, 2, 2]),
        "wide map": cloud.map(abs, range(-150, 0)),
        "large result": cloud.call(bytes, LARGE),
        "large argument": cloud.call(len, bytes(LARGE)),
        "printed": cloud.call(print, "hello"),
        "shell": cloud.shell.execute("echo {w1}, {w2}", {"w1": "hello", "w2": "world"}),
        "shell map": cloud.shell.execute_map("echo {w}", {}, {"w": ["one", "two"]}),
        "failed": cloud.call(fails, "bread"),
        "failed shell": cloud.shell.execute("echo broken >&2; exit 3"),
        "deleted": cloud.call(abs, -5),
    }
    for jid in jids.values():
        cloud.join(jid, ignore_errors=True)
    cloud.delete(jids["deleted"])
    return jids


def unfinished_jobs(before: dict[str, Any]) -> dict[str, Any]:
    """Submit one job that runs, and behind it those that are queued or depend on others."""
    running = cloud.call(time.sleep, 5)
    while cloud.status(running) != "processing":
        time.sleep(0.01)
    queued = cloud.call(pow, 3, 3, _label="cubes")
    killed = cloud.call(abs, -6)
    cloud.kill(killed)
    return {
        "running": running,
        "queued": queued,
        "killed": killed,
        "queued keyword": cloud.call(int, "zz", base=36, _priority=1),
        "queued closure": cloud.call(lambda x: x + running, 0),
        "queued map": cloud.map(pow, [4, 5], [2, 2]),
        "queued large argument": cloud.call(len, bytes(LARGE + 1)),
        "queued shell": cloud.shell.execute(
            "echo {w} > out; echo no", {"w": "file"}, return_file="out"
        ),
        "queued shell map": cloud.shell.execute_map("echo {w}", {}, {"w": ["three", "four"]}),
        "after queued": cloud.call(abs, -7, _depends_on=queued),
        "after running": cloud.map(abs, [-8, -9], _depends_on=[running, queued]),
        "after finished": cloud.call(abs, -10, _depends_on=before["map"]),
        "after failed": cloud.call(abs, -11, _depends_on=[running, before["failed"]]),
        "despite failed": cloud.call(
            abs, -12, _depends_on=[running, before["failed"]], _depends_on_errors="ignore"
        ),
    }


def unsealed(data: Path) -> int:
    """Return how many finished batches the state store of a stopped server holds."""
    with contextlib.closing(sqlite3.connect(data / "state.sqlite")) as state:
        query = "SELECT count(*) FROM entries WHERE key LIKE 'finished/%'"
        count: int = state.execute(query).fetchone()[0]
    return count


def kill_everything(server: subprocess.Popen[bytes], data: Path) -> None:
    """SIGKILL for the processes of the server, and then for the slots that it started."""
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    for record in (data / "slots").glob("*.json"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(json.loads(record.read_bytes())["pid"], signal.SIGKILL)


def main() -> None:
    """Write the archive and the names of its jobs."""
    version, folder = sys.argv[1], Path(sys.argv[2])
    data = Path(tempfile.mkdtemp(), "data")
    server = start(data, slots=2)
    sealed = finished_jobs()
    time.sleep(SEALED_S)
    server.terminate()
    server.wait()
    assert not unsealed(data)

    server = start(data, slots=1)
    finished = finished_jobs()
    unfinished = unfinished_jobs(finished)
    jids = {"sealed": sealed, "finished": finished, "unfinished": unfinished}
    key = cloud.account.create_key()["key"]
    kill_everything(server, data)

    made = {"python": sys.version_info[:2], "key": key, "jids": jids}
    (folder / f"{version}.json").write_text(json.dumps(made, default=list) + "\n")
    with tarfile.open(folder / f"{version}.tar.xz", "w:xz", preset=9) as archive:
        archive.add(data, "data")


if __name__ == "__main__":
    main()
