"""Floors: how fast each kind of hop is without any of our code."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS = 1000
_BARE = """
import asyncio, socket, sys, uvicorn, falcon.asgi
waiting = []
class Echo:
    async def on_post(self, request, response):
        response.data = await request.stream.read()
class Hold:
    async def on_post(self, request, response):
        held = asyncio.get_running_loop().create_future()
        waiting.append(held)
        await held
        response.data = b"x"
class Wake:
    async def on_post(self, request, response):
        await request.stream.read()
        while waiting:
            waiting.pop().set_result(None)
        response.data = b"x"
app = falcon.asgi.App()
for path, resource in (("/echo", Echo()), ("/hold", Hold()), ("/wake", Wake())):
    app.add_route(path, resource)
listener = socket.socket(proto=socket.IPPROTO_TCP)
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None,
    access_log=False, lifespan="off", interface="asgi3")).run(sockets=[listener])
"""


def floors() -> dict[str, float]:
    """Return the milliseconds of each kind, the median of many."""
    floor_ms: dict[str, float] = {}
    server = subprocess.Popen(
        [sys.executable, "-c", _BARE], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        floor_ms |= _http(int(server.stdout.readline()))
    finally:
        server.terminate()
        server.wait()
    floor_ms["two processes over a socket pair, there and back"] = _pair()
    floor_ms["a function to a thread of a pool, from an event loop"] = asyncio.run(_thread())
    with tempfile.TemporaryDirectory() as folder:
        for synchronous in ("NORMAL", "FULL"):
            took = _sqlite(Path(folder) / synchronous, synchronous)
            floor_ms[f"a commit of 7 rows, SQLite, synchronous={synchronous}"] = took
    return floor_ms


def _median_ms(once: Callable[[], Any], rounds: int = _ROUNDS) -> float:
    for _ in range(rounds // 10):
        once()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _http(port: int) -> dict[str, float]:
    import urllib3

    body = b"x" * 300
    pool = urllib3.connection_from_url(f"http://127.0.0.1:{port}", maxsize=2)
    posting, holding = _Raw(port), _Raw(port)

    def held_and_woken() -> None:
        holding.send("/hold", body)
        # The held request has to be there first; its way in is not what is measured.
        posting.post("/echo", body)
        start = time.perf_counter()
        posting.send("/wake", body)
        holding.read()
        woken.append(time.perf_counter() - start)
        posting.read()

    woken: list[float] = []
    floor_ms = {
        "HTTP to bare Falcon, there and back, by urllib3": _median_ms(
            lambda: pool.urlopen("POST", "/echo", body=body, retries=False)
        ),
        "HTTP to bare Falcon, there and back, by a plain socket": _median_ms(
            lambda: posting.post("/echo", body)
        ),
    }
    _median_ms(held_and_woken)
    return floor_ms | {
        "HTTP to bare Falcon that answers another's long poll": statistics.median(woken) * 1000
    }


class _Raw:
    """HTTP by hand over one connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")

    def send(self, path: str, body: bytes) -> None:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)

    def read(self) -> bytes:
        length = 0
        while (line := self._stream.readline()).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return self._stream.read(length)

    def post(self, path: str, body: bytes) -> bytes:
        self.send(path, body)
        return self.read()


def _pair() -> float:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        while data := theirs.recv(4096):
            theirs.send(data)
        os._exit(0)
    theirs.close()

    def once() -> None:
        ours.send(b"x" * 300)
        ours.recv(4096)

    took = _median_ms(once)
    ours.close()
    os.waitpid(pid, 0)
    return took


async def _thread() -> float:
    loop = asyncio.get_running_loop()
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        await loop.run_in_executor(None, threading.get_ident)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _sqlite(path: Path, synchronous: str) -> float:
    database = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode = WAL", f"synchronous = {synchronous}"):
        database.execute(f"PRAGMA {setting}").fetchone()
    database.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
    number = 0

    def once() -> None:
        nonlocal number
        number += 1
        database.execute("BEGIN IMMEDIATE")
        for part in range(7):
            key = f"accounts/a0000001/batches/{number}/{part}"
            database.execute("INSERT INTO entries VALUES (?, ?)", (key, b"x" * 150))
        database.execute("COMMIT")

    took = _median_ms(once)
    database.close()
    return took
