"""Each server is away for a while: what the functions of `cloud` do meanwhile, and afterwards.

The table of these cells is on the page about reliability.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import cloud
import pytest
from cloud import CloudConnectionError, bucket, queue, secret
from picloud_model.errors import Unavailable

from tests.away_table import table
from tests.current_client import current_client
from tests.e2e import command_line
from tests.e2e.conftest import starter
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloud._client.client import Client

PROGRAMS: Final = {
    "Vault": "vault",
    "S3": "versitygw",
    "Nomad": "nomad",
    "NATS": "nats-server",
    "Consul": "consul",
}
"""The server of each column, by the name of its program."""
WAIT_S: Final = 60.0
REQUESTS: Final[dict[str, Callable[[Client, int], object]]] = {
    "start a job": lambda client, _: client.call(abs, -1),
    "read a status": lambda client, jid: client.status(jid),
    "list jobs": lambda client, jid: client.info(jid, "created"),
    "kill a job": lambda client, jid: client.kill(jid),
    "make an API key": lambda client, _: client.keys.create(),
    "push to a queue": lambda *_: queue.get("away").push([1]),
    "pop from a queue": lambda *_: queue.get("away").pop(1, timeout=1),
    "put an object": lambda *_: bucket.putf(b"x", "away"),
    "get an object": lambda *_: bucket.getf("away").read(),
    "set a secret": lambda *_: secret.set("away", {"A": "b"}),
    "register a cron job": lambda *_: cloud.cron.register(time.time, "away", "0 3 * * *"),
    "store in a dictionary": lambda *_: cloud.Dict("away").__setitem__("key", 1),
}
"""What a program does, by the row of the table."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HashiCorpStack]:
    """A stack whose servers are killed one at a time."""
    for start in starter(HashiCorpStack, tmp_path_factory):
        yield start()


@pytest.fixture(scope="module")
def client(stack: HashiCorpStack) -> Iterator[Client]:
    """A client that sends nothing again, and is the one that `cloud`'s functions use."""
    with contextlib.closing(stack.client()) as opened, current_client(opened):
        queue.get("away").push([1])
        bucket.putf(b"x", "away")
        yield opened


def do(name: str, client: Client, jid: int) -> str:
    """Do what a row of the table says; return what its cell has to be."""
    try:
        REQUESTS[name](client, jid)
    except CloudConnectionError as error:
        return "503" if error.code == Unavailable.code else str(error)
    return "yes"


def step(place: Path) -> str:
    """A job that begins, and goes on and ends while a server is away."""
    place.with_suffix(".begun").touch()
    while not place.with_suffix(".go").exists():
        time.sleep(0.02)
    place.with_suffix(".ended").touch()
    return "ended"


@pytest.mark.parametrize("server", PROGRAMS)
def test_a_program_while_a_server_is_away(
    stack: HashiCorpStack, client: Client, caplog: pytest.LogCaptureFixture, server: str
) -> None:
    """What works and what is refused is as the table says, and names the server. A job that runs
    goes on. Once the server is back, everything works without intervention.
    """
    done = client.call(abs, -1)
    client.join(done, WAIT_S)
    place = stack.shared / server
    jid = client.call(step, place)
    until(place.with_suffix(".begun").exists, "the job runs")
    results: list[Any] = []
    waiting = threading.Thread(target=lambda: results.append(client.result(jid, WAIT_S)))
    waiting.start()

    stack.kill_server(PROGRAMS[server])
    client._config.retry_attempts = 0
    if server == "Consul":
        until(lambda: do("push to a queue", client, done) == "503", "keys are read anew")
        shown = command_line.run(stack.environment(), "jobs")
    cells = {name: do(name, client, done) for name in REQUESTS}
    place.with_suffix(".go").touch()
    until(place.with_suffix(".ended").exists, "the job has ended")
    stack.revive()
    client._config.retry_attempts = 10
    waiting.join(WAIT_S)

    assert cells == {name: row[server] for name, row in table().items() if name in cells}
    assert results == ["ended"]
    assert {do(name, client, done) for name in REQUESTS} == {"yes"}
    assert client.result(client.call(abs, -2), WAIT_S) == 2
    if server == "Consul":
        assert shown.code == 1
        assert "Consul at unix:" in shown.err
        assert "connection refused, is it running?" in shown.err
