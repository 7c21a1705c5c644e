"""The start of a worker: its registration, and what its process keeps and forgets."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import NotAllowed
from picloud_worker import __main__ as worker_main
from picloud_worker.api.client import ApiClient
from picloud_worker.api.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.worker.fake_api import FakeApi


@pytest.fixture
def client(api: FakeApi) -> Iterator[ApiClient]:
    """A connection without a token."""
    connection = ApiClient(f"http://127.0.0.1:{api.port}")
    yield connection
    connection.close()


def test_a_proof_becomes_a_token(api: FakeApi, client: ApiClient) -> None:
    """The server grants the slot, also after some faults."""
    api.faults = 2

    granted = worker_main.register(client, "the proof", Outage(30.0, lambda: 0.0))

    assert granted == api.granted


def test_a_refused_proof_ends_the_slot(api: FakeApi, client: ApiClient) -> None:
    """It is not sent again."""
    api.refuse_slots = True

    with pytest.raises(NotAllowed):
        worker_main.register(client, "the proof", Outage(30.0, lambda: 0.0))


def test_a_server_that_stays_away_is_given_up(api: FakeApi, client: ApiClient) -> None:
    """After the grace there is nothing to grant."""
    api.stop()
    times = iter(range(0, 1000, 20))

    assert worker_main.register(client, "the proof", Outage(30.0, lambda: next(times))) is None


def test_the_proof_is_read_to_its_end_and_its_descriptor_closed() -> None:
    """White space around it does not count."""
    reader, writer = os.pipe()
    os.write(writer, b" the proof\n")
    os.close(writer)

    assert worker_main.read_proof(reader) == "the proof"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)


def test_closed_standard_streams_are_held() -> None:
    """A worker that starts without them opens no socket as descriptor 0, 1 or 2."""
    text = (
        "import os\n"
        "from picloud_worker.__main__ import hold_standard_streams\n"
        "kept = os.dup(1)\n"
        "os.closerange(0, 3)\n"
        "hold_standard_streams()\n"
        "opened = os.open('/', os.O_RDONLY)\n"
        "os.write(kept, str(opened > 2).encode())\n"
    )

    process = subprocess.run([sys.executable, "-c", text], capture_output=True, check=True)

    assert process.stdout == b"True"
