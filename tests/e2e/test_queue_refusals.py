"""What queues refuse, by HTTP and in the shell; `test_queue` has what the SDK refuses."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from cloud import CloudException, queue

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client
    from cloud.queue import CloudQueue

    from tests.e2e.command_line import Exited

    Post = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def q(client: Client) -> Iterator[CloudQueue]:
    """A queue with two messages."""
    with current_client(client):
        made = queue.get(f"refusals-{uuid.uuid4().hex[:20]}", "json")
        made.push([1, 2])
        yield made
        made.detach()
        made.delete()


@pytest.fixture
def post(client: Client) -> Post:
    """A function that sends a request about queues as any program would."""

    def post(path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        reply = urllib3.request(
            "POST",
            f"{client.address.url}/v1/queues{path}",
            json=body,
            headers={"Authorization": f"Bearer {client.address.key}"},
            retries=False,
        )
        return reply.status, json.loads(reply.data)

    return post


def test_bad_requests_are_refused(q: CloudQueue, post: Post) -> None:
    """Each says which field is wrong, and changes nothing."""
    message, push_id = {"json": "1"}, uuid.uuid4().hex
    named = {"name": q.name}
    pushed = {**named, "push_id": push_id}
    (taken,) = post("/take", **named, max_count=1)[1]["messages"]
    other = queue.get(f"{q.name}-other")
    other.push(["there"])
    (foreign,) = other.pop_tickets(1)
    digit = "0" if taken["ticket"][10] != "0" else "1"
    forged = taken["ticket"][:10] + digit + taken["ticket"][11:]
    for path, body, status, words in (
        ("", {"name": "a b"}, 422, "name"),
        ("", {"name": "x" * 41}, 422, "name"),
        ("", {"name": 7}, 422, "name"),
        ("/take", {**named, "max_count": 0}, 422, "max_count must be 1 or more"),
        ("/take", {**named, "deadline_s": 1}, 422, "deadline_s must be 3"),
        ("/take", {"name": "missing"}, 404, "There is no queue 'missing'"),
        ("/push", {**pushed, "messages": [message], "delay_s": 10**9}, 422, "delay_s must be"),
        ("/push", {**pushed, "messages": [message, {}]}, 422, "Message 1 must have one of"),
        ("/push", {**pushed, "messages": [{"json": "{"}]}, 422, "message 0 is not valid JSON"),
        ("/push", {**named, "messages": [message]}, 422, "push_id"),
        ("/ack", {**named, "tickets": []}, 422, "tickets"),
        ("/ack", {**named, "tickets": [taken["ticket"], forged]}, 422, "Ticket 1 was not given"),
        ("/extend", {**named, "tickets": [foreign.ticket], "deadline_s": 9}, 422, "Ticket 0"),
    ):
        replied, answer = post(path, **body)
        text = f"{answer.get('field')}: {answer['message']}"
        assert words in text, (path, body, answer)
        assert replied == status, (path, body, answer)
    other.delete()

    known = q.info()
    assert (known["count"], known["in_flight"]) == (1, 1)
    for _ in range(2):
        assert post("/ack", **named, tickets=[taken["ticket"]]) == (200, {})
    assert (q.info()["count"], q.info()["in_flight"]) == (1, 0)


def test_bad_commands_are_refused(q: CloudQueue, picloud: Callable[..., Exited]) -> None:
    """In one sentence, with an exit status that is not 0; nothing is changed."""
    # Pushed anew once the pause holds: the handler may have taken a message before.
    q.attach(lambda x: x)
    q.pause()
    q.purge()
    q.push([1, 2])
    for arguments, words in (
        (("create", "a b"), "'a b' is not a valid queue name"),
        (("push", q.name, "1", "--delay", "1e9"), "delay is a number of seconds, 0 to 31,622,400"),
        (("pop", q.name, "-n", "0"), "it must be 1 or more"),
        (("attach", q.name, "-o", q.name, "cat"), "--allow-cycle on the command line"),
        (("attach", q.name, "--readers-per-job", "0", "cat"), "readers_per_job is 1 to 128"),
        (("delete", q.name), "detach it first"),
        (("count", "missing"), "There is no queue 'missing'"),
    ):
        ended = picloud("queue", *arguments)
        assert ended.code != 0, arguments
        assert words in ended.err, ended.err
        assert "Traceback" not in ended.err

    assert q.count() == 2
    with pytest.raises(CloudException, match=r"Cannot write message 1 as JSON: .* set"):
        q.push([1, {1, 2}])
    assert q.count() == 2
