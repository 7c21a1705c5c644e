"""Forged reports: a slot can report the jobs that it holds, and no others."""

from __future__ import annotations

import base64
import contextlib
import time
import zlib
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec
import pytest
from picloud_model import pack
from picloud_model.job import State

from tests.attacks.held_job import held_job
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

    from tests.attacks.sender import Reply, Sender
    from tests.e2e.stacks import Stack

PARCEL: Final = base64.b64encode(pack.seal(b"forged")).decode()
NUMBERS: Final = (0, 1, -1, 999, 1000, 10**6, 2**31, 2**53, 2**63 - 1)


def ended(index: int, attempt: int = 1, state: int = State.DONE, cause: int = 0) -> list[Any]:
    """Return the report of a job with a forged result."""
    return [index, attempt, state, cause, 1.0, 2.0, PARCEL]


def report(sender: Sender, batch: str, *lines: list[Any]) -> Reply:
    """Send a report of the attacker's slot."""
    reports = [{"batch": batch, "envelope": ["3.11", "3.1.0"], "ended": list(lines)}]
    body = {"reports": [list(each.values()) for each in reports], "lease": False, "wait_s": 0.0}
    return sender.send("POST", "/v1/work", body, sender.slot)


def overheard(client: Client) -> list[str]:
    """Return a list of the batches that a client makes from now on; it grows with each."""
    batches: list[str] = []
    post = client._transport.send

    def listening(path: str, body: bytes, kind: Any) -> Any:
        if path == "/v1/jobs":
            batches.append(msgspec.msgpack.decode(body)["submit_id"])
        return post(path, body, kind)

    client._transport.send = listening  # type: ignore[method-assign]
    return batches


@pytest.fixture
def running(stack: Stack, client: Client) -> Iterator[tuple[int, str]]:
    """Return jid and batch of a job of the attacker's account that another slot may hold."""
    batches = overheard(client)
    with held_job(stack, client) as jid:
        until(lambda: client.status(jid) == "processing", "the job runs")
        yield jid, batches[0]
    assert client.result(jid, 60) == "true"


@pytest.fixture
def foreign(stack: Stack, sender: Sender) -> Iterator[tuple[Client, int, str]]:
    """An unfinished job of the other account, queued or running."""
    with contextlib.closing(stack.client(sender.other)) as other:
        batches = overheard(other)
        jid = other.call(time.sleep, 600)
        yield other, jid, batches[0]
        other.kill()


def test_a_report_of_another_accounts_job_publishes_nothing(
    sender: Sender, foreign: tuple[Client, int, str]
) -> None:
    """A slot's account is in its token: the batches that it names are looked up in that account
    only.
    """
    other, jid, batch = foreign
    for attempt in (0, 1, 2, 3):
        reply = report(sender, batch, ended(0, attempt), ended(0, attempt, State.KILLED))
        assert reply.status == 200

    assert other.status(jid) in ("queued", "processing")
    held = {"running": [[batch, 0, 1]], "holding": [[batch, 0, 1]], "wait_s": 0.0}
    beat = sender.send("POST", "/v1/heartbeat", held, sender.slot).body()
    assert beat["lost"] == [[batch, 0, 1], [batch, 0, 1]]
    assert not beat.get("kills")


def test_a_report_of_another_attempt_publishes_nothing(
    sender: Sender, client: Client, running: tuple[int, str]
) -> None:
    """A late or invented attempt, or an impossible index, is rejected by the fence."""
    jid, batch = running
    for number in NUMBERS:
        for line in (ended(0, number + 7), ended(number or 1, 1)):
            assert report(sender, batch, line).status in (200, 422), line

    assert client.status(jid) == "processing"


def test_only_the_slot_that_holds_a_job_ends_it(
    sender: Sender, stack: Stack, client: Client, running: tuple[int, str]
) -> None:
    """The right batch, index and attempt are refused from a slot that never got the lease.

    Here the attacker has everything but the token of the slot that holds the job, and tries tokens
    that it can make.
    """
    jid, batch = running
    body = {"reports": [[batch, ["3.11", "3.1.0"], [ended(0)]]], "lease": False, "wait_s": 0.0}
    for credential in (sender.key, sender.other, sender.slot[:-2] + "AA", "a.b.c"):
        assert sender.send("POST", "/v1/work", body, credential).status == 401

    assert client.status(jid) == "processing"


@pytest.mark.parametrize(
    "line",
    [
        ended(-1), ended(2**63 - 1), ended(0, -1), ended(0, 2**40), ended(0, 1, 99),
        ended(0, 1, -1), ended(0, 1, State.QUEUED), ended(0, 1, State.DONE, 99),
        ended(0, 1, State.ERROR, -1), [0, 1, 4, 0, -1e308, 1e308, PARCEL],
        [0, 1, 4, 0, 1.0, 2.0, PARCEL, ["../../x", 1]],
        [0, 1, 4, 0, 1.0, 2.0, PARCEL, None, ["../../x", 10**18]],
        [0, 1, 4, 0, 1.0, 2.0, PARCEL, None, ["", 1, PARCEL]],
    ],
    ids=str,
)  # fmt: skip
def test_a_report_that_makes_no_sense_is_no_fault_of_the_server(
    sender: Sender, running: tuple[int, str], line: list[Any]
) -> None:
    """Impossible numbers, states and causes are ignored or refused."""
    _, batch = running
    wrong = [*line[:1], 99, *line[2:]] if line[1] == 1 else line

    assert report(sender, batch, wrong).status in (200, 400, 422)


@pytest.mark.parametrize(
    "batch", ["", "../" * 5, "a0000002/" + "0" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n", "\0" * 32]
)
def test_a_batch_is_named_by_its_id_only(sender: Sender, batch: str) -> None:
    """A batch id that is a path is refused before a key is made of it."""
    held = [batch, 0, 1]

    replies = [
        report(sender, batch, ended(0)),
        sender.send("POST", "/v1/work", {"returned": [held], "lease": False}, sender.slot),
        sender.send("POST", "/v1/heartbeat", {"running": [held], "wait_s": 0.0}, sender.slot),
    ]

    assert {each.status for each in replies} == {422}


def test_an_info_that_grows_is_not_unpressed(sender: Sender, client: Client) -> None:
    """A megabyte that would decompress to a gigabyte is not decompressed; readers get an error."""
    bomb = zlib.compress(b"\0" * 2**28, 9)
    line = [0, 99, 4, 0, 1.0, 2.0, PARCEL, None, ["", len(bomb), base64.b64encode(bomb).decode()]]

    reply = report(sender, uuid4().hex, line)

    assert reply.status == 200
    assert client.status([]) == []
