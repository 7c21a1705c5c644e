"""How many operations a job costs. Counting does not depend on the speed of the machine."""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
import uvicorn
from cloud._client.client import Client
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress
from picloud_api.app import Application
from picloud_api.settings import read

from tests.e2e import processes
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from picloud_api.wiring import Server
    from picloud_driver.gateway.process import GatewayProcess

WAIT_S = 60.0
LOOKS = ("stat", "lstat", "fstat", "fsync", "fdatasync")


class Cost(NamedTuple):
    """What something cost the server."""

    requests: int
    transactions: int


class Counted:
    """A server in this process whose requests are counted on their way in.

    Everything else is as in any embedded stack: slots are processes, and talk HTTP to it.
    """

    def __init__(self, data: Path) -> None:
        self.requests: Counter[str] = Counter()
        # Without its protocol asyncio would not switch Nagle's delay off.
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = read(["--data", str(data), "--slots", "2"], {"PATH": os.environ["PATH"]})
        self._app = Application(settings, self.url)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._count, log_config=None, lifespan="on", ws="none", interface="asgi3"
            )
        )
        serving = self._server.serve(sockets=[listener])
        self._thread = threading.Thread(target=asyncio.run, args=(serving,))
        self._thread.start()
        until(lambda: self._server.started, "the server serves")

    async def _count(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.requests[scope["path"]] += 1
        await self._app(scope, receive, send)

    @property
    def server(self) -> Server:
        """The parts of the server."""
        running = self._app._lifetime._server
        assert running is not None
        return running

    def now(self) -> Cost:
        """Return the total cost so far."""
        return Cost(self.requests.total(), self.server.context.commits.transactions)

    def since(self, before: Cost) -> Cost:
        """Return the cost since then."""
        now = self.now()
        return Cost(now.requests - before.requests, now.transactions - before.transactions)

    def close(self) -> None:
        """Stop it."""
        self._app.answer_waiting()
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    """A counting server; no process of it is left."""
    data = tmp_path_factory.mktemp("counted") / "data"
    data.mkdir()
    server = Counted(data)
    yield server
    server.close()
    until(lambda: not processes.of_stack(data, server.url), "nothing is left", 30)


@pytest.fixture
def client(counted: Counted) -> Iterator[Client]:
    """A client of the counting server, with warm slots."""
    opened = Client(ServerAddress(counted.url, counted.server.key), Config())
    opened.join(opened.map(abs, range(100)), WAIT_S)
    yield opened
    opened.close()


def test_a_warm_call_costs_three_requests_and_two_transactions(
    counted: Counted, client: Client
) -> None:
    """A call and the wait for its result cost three requests: submit, report with the next lease,
    wait.

    The heartbeats of a slot, one every 5 s, are not caused by the call: hence the median.
    """
    client.result(client.call(abs, -1), WAIT_S)
    costs = []

    for _ in range(41):
        before = counted.now()
        assert client.result(client.call(abs, -1), WAIT_S) == 1
        costs.append(counted.since(before))

    assert median(cost.requests for cost in costs) <= 3, costs
    assert median(cost.transactions for cost in costs) <= 2, costs
    print(f"\na warm call: {Counter(costs).most_common()}")


def test_a_step_of_a_chain_costs_two_requests_and_two_transactions(
    counted: Counted, client: Client
) -> None:
    """Submit, and the report of the job before: its transaction queues the job and leases it to
    the same slot, and its answer brings the result. Heartbeats come in between.
    """
    steps = 40
    slow = client.call(__import__("time").sleep, 0.5)
    client.result(client.call(abs, client.job(client.call(abs, -1)).value), WAIT_S)
    before, paths = counted.now(), counted.requests.copy()

    job = client.job(client.call(max, [7], default=client.job(slow).value))
    for _ in range(steps - 1):
        job = client.job(client.call(abs, job.value))
    assert client.result(job, WAIT_S) == 7

    cost = counted.since(before)
    assert cost.requests <= 2 * steps + 8, counted.requests - paths
    assert cost.transactions <= 2 * steps + 8, cost
    print(f"\na chain of {steps}: {cost}; {dict(counted.requests - paths)}")


def test_jobs_that_nobody_reaches_into_cost_no_tunnel(counted: Counted, client: Client) -> None:
    """Also if they name ports: no gateway is started, and no slot is queried."""
    queries = repr(counted.server.live._numbers)

    client.join(client.map(abs, range(50), _ports={8000: "public"}), WAIT_S)

    assert cast("GatewayProcess", counted.server.ports.gateway).pid is None
    assert repr(counted.server.live._numbers) == queries


def test_a_function_of_ones_own_module_costs_no_more(
    counted: Counted, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules are sent once: a warm call of a function in them costs submit, work and wait."""
    (tmp_path / "own_module.py").write_text("def negative(x):\n    return -x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    negative = importlib.import_module("own_module").negative
    client.result(client.map(negative, range(100)), WAIT_S)
    costs, paths = [], counted.requests.copy()

    for _ in range(41):
        before = counted.now()
        assert client.result(client.call(negative, 1), WAIT_S) == -1
        costs.append(counted.since(before))

    assert median(cost.requests for cost in costs) <= 3, counted.requests - paths
    assert median(cost.transactions for cost in costs) <= 2, costs


def test_large_data_does_not_travel_on_one_machine(counted: Counted) -> None:
    """Client and slots open the files of blobs: 8 arguments of 4 MiB, of which 16 MiB are named at
    a time, and 8 results cost no request for bytes, and at most 6 requests more than small ones.
    """
    config = Config()
    config.max_transmit_data = 16_000_000
    client = Client(ServerAddress(counted.url, counted.server.key), config)
    contents = [number.to_bytes(1) * (4 << 20) for number in range(8)]
    client.result(client.map(bytes.swapcase, contents[:1]), WAIT_S)
    before, paths = counted.now(), counted.requests.copy()

    results = client.result(client.map(bytes.swapcase, contents), WAIT_S)

    assert results == [content.swapcase() for content in contents]
    spent = counted.requests - paths
    assert {path for path in spent if "/blobs/" in path} == {"/v1/blobs/missing"}, spent
    assert spent["/v1/blobs/missing"] <= 6 + len(contents), spent
    assert counted.since(before).transactions <= 3 * len(contents), spent
    client.close()


def test_clients_that_do_not_read_hold_up_nobody(counted: Counted, client: Client) -> None:
    """20 clients request 16 MiB each and read nothing: the server reads a fraction of that from its
    disk, and a call of another client costs what it costs without them.
    """
    address = "127.0.0.1", int(counted.url.rpartition(":")[2])
    data = os.urandom(16 << 20)
    digest = sha256(data).hexdigest()
    head = f"HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {counted.server.key}\r\n"
    with socket.create_connection(address, WAIT_S) as sender:
        sender.sendall(f"PUT /v1/blobs/{digest} {head}content-length: {len(data)}\r\n\r\n".encode())
        sender.sendall(data)
        assert b" 200 " in sender.recv(100)
    before, costs = _read_bytes(), []

    with ExitStack() as stack:
        readers = [stack.enter_context(socket.create_connection(address)) for _ in range(20)]
        for reader in readers:
            reader.sendall(f"GET /v1/blobs/{digest} {head}\r\n".encode())
            assert b" 200 " in reader.recv(100)
        for _ in range(41):
            start = counted.now()
            assert client.result(client.call(abs, -1), WAIT_S) == 1
            costs.append(counted.since(start))
        spent = _read_bytes() - before

    assert median(cost.requests for cost in costs) <= 3, costs
    assert median(cost.transactions for cost in costs) <= 2, costs
    assert spent < 20 * len(data) / 2, spent


def _read_bytes() -> int:
    """Return how many bytes this process, in which the server is, has read."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


def test_a_map_of_10_000_costs_hundredths_a_job(counted: Counted, client: Client) -> None:
    """A map of 10,000 jobs that do nothing takes at most 0.04 requests and 0.03 transactions a job:
    jobs travel, are leased, reported and waited for in bundles.
    """
    before, paths = counted.now(), counted.requests.copy()

    results = client.result(client.map(abs, range(10_000)), WAIT_S)

    cost = counted.since(before)
    assert results == list(range(10_000))
    assert cost.requests / 10_000 <= 0.04, counted.requests - paths
    assert cost.transactions / 10_000 <= 0.03, cost
    print(f"\na map of 10,000: {cost}; {dict(counted.requests - paths)}")


def test_a_job_costs_no_look_at_a_file(tmp_path: Path) -> None:
    """10,000 jobs take no more stats and fsyncs than 100, in children, server and client."""
    ours: Counter[str] = Counter()
    count = _counter(ours)
    threading.setprofile(count)  # of every thread that the server starts from now on
    sys.setprofile(count)
    counted = Counted(tmp_path)
    client = Client(ServerAddress(counted.url, counted.server.key), Config())
    try:
        client.result(client.map(_looks, range(100)), WAIT_S)
        few = ours.total()
        ours.clear()

        results = client.result(client.map(_looks, range(10_000)), WAIT_S)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        client.close()
        counted.close()

    theirs: dict[int, list[int]] = {}
    for pid, looks in results:
        theirs.setdefault(pid, []).append(looks)
    assert few > 0
    assert sum(max(each) - min(each) for each in theirs.values()) <= 100, theirs.keys()
    assert ours.total() - few <= 100, ours


def _counter(seen: Counter[str]) -> Callable[[Any, str, Any], None]:
    """Return a profile function that counts the calls that look at a file."""

    def count(_: Any, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ in LOOKS:
            seen[called.__name__] += 1

    return count


def _looks(_: int) -> tuple[int, int]:
    """Return the pid of this child, and how often it looked at a file since its first such job."""
    seen: Counter[str] = sys.__dict__.setdefault("looks seen", Counter())
    sys.setprofile(_counter(seen))
    return os.getpid(), seen.total()


def test_waiting_costs_nothing(counted: Counted, client: Client) -> None:
    """A long job costs one waiting request, and heartbeats every few seconds."""
    before = counted.now()

    client.join(client.call(__import__("time").sleep, 3), WAIT_S)

    cost = counted.since(before)
    assert cost.requests <= 8, counted.requests
    assert cost.transactions <= 8
    print(f"\na job of 3 s: {cost}")


def test_a_question_is_one_request_for_any_number_of_jobs(counted: Counted, client: Client) -> None:
    """The promise: "Making a single batch query for 10,000 jobs will take only 1 round trip." """
    jids = client.map(abs, range(10_000))
    client.join(jids, WAIT_S)

    for ask in (client.status, client.join, client.info, client.kill, client.delete):
        before = counted.requests.copy()
        ask(jids)
        requests = counted.requests - before
        assert sum(count for path, count in requests.items() if path.startswith("/v1/jobs")) == 1


def test_idle_slots_ask_seldom(counted: Counted, client: Client) -> None:
    """Two slots without work wait in one request each, and send no more than one every
    few seconds.
    """
    until(lambda: counted.server.context.slot_sessions.idle(_pool(counted)) == 2, "both slots wait")
    before = counted.now()

    with pytest.raises(TimeoutError):
        until(lambda: False, "3 s have passed", 3)

    assert counted.since(before).requests <= 2
    client.status([])


def _pool(counted: Counted) -> Any:
    return counted.server.context.slot_sessions.all()[0].pool
