"""`cloud.queue`, on every stack."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, queue
from picloud_model import wire

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client
    from cloud.queue import CloudQueue, MessageTicket

    from tests.e2e.command_line import Exited


@pytest.fixture
def q(client: Client) -> Iterator[CloudQueue]:
    """An empty queue of the account."""
    with current_client(client):
        made = queue.get(f"test-{uuid.uuid4().hex[:20]}")
        yield made
    with current_client(client):
        made.delete()


def pop_all(q: CloudQueue, count: int) -> list[Any]:
    """Pop until that many messages have come."""
    popped: list[Any] = []
    while len(popped) < count:
        more = q.pop(1000, timeout=30)
        assert more, f"{len(popped)} of {count} messages have come"
        popped += more
    return popped


def test_the_session_of_the_documentation(q: CloudQueue) -> None:
    """Three numbers are pushed, counted, and popped in some order."""
    q.push([1, 2, 3])

    assert q.count() == 3
    assert sorted(pop_all(q, 3)) == [1, 2, 3]
    assert q.count() == 0
    assert q.pop(timeout=0) == []


def test_queues_are_made_found_and_deleted(client: Client) -> None:
    """A queue exists from `get` on until `delete`; doing either twice is not an error."""
    name = f"made-{uuid.uuid4().hex[:20]}"
    with current_client(client):
        assert not queue.exists(name)
        assert queue.get(name) == queue.get(name)
        assert queue.exists(name)
        assert name in [each.name for each in queue.list()]
        queue.get(name).push(["lost"])
        for _ in range(2):
            queue.CloudQueue(name).delete()
        assert not queue.exists(name)
        with pytest.raises(CloudException, match=f"no queue '{name}'"):
            queue.CloudQueue(name).push([1])
        assert queue.get(name).pop(timeout=0) == []
        queue.get(name).delete()


def test_any_value_is_a_message(q: CloudQueue) -> None:
    """Functions and classes of the script, large values, and nothing at all."""
    base = 40
    q.push([lambda x: x + base])
    q.push([None])
    q.push([b"x" * 64_000, "y" * 300_000])

    (add,) = q.pop(1)
    assert add(2) == 42
    assert q.pop(1) == [None]
    assert sorted(map(len, pop_all(q, 2))) == [64_000, 300_000]


def test_large_messages_are_removed_with_their_blobs(other: Client) -> None:
    """What was popped or purged leaves no blob behind.

    Jobs of the first account store and release blobs at any time; the other one has few.
    """
    with current_client(other):
        q = queue.get(f"test-{uuid.uuid4().hex[:20]}")
        q.push([uuid.uuid4().hex * 100_000])
        (popped,) = q.pop_tickets(deadline=60)
        q.push([uuid.uuid4().hex * 100_000])
        before = stored_bytes(other)
        popped.ack()
        q.purge()

        assert q.info()["count"] == 0
        # Both had 3.2 MB. Less is required, as a job that has just ended may store its page now.
        until(lambda: before - stored_bytes(other) >= 6_000_000, "the blobs are deleted")
        q.delete()


def stored_bytes(client: Client) -> int:
    """Return how many bytes of blobs the account has."""
    usage = client.transport.post("/v1/usage", wire.UsageRequest(), wire.AccountUsage)
    return usage.blobs.size


def test_many_messages_in_one_push(q: CloudQueue) -> None:
    """More than one request takes are pushed in portions, and all arrive."""
    q.push(range(2_000))

    assert sorted(pop_all(q, 2_000)) == list(range(2_000))


def test_tickets_keep_messages_until_they_are_acknowledged(q: CloudQueue) -> None:
    """A message with a ticket is in flight; then it is gone, and a second ack is not an error."""
    q.push(["one", "two"])
    tickets = q.pop_tickets(deadline=600)
    while len(tickets) < 2:
        tickets += q.pop_tickets(deadline=600)
    assert q.count() == 0
    assert q.info()["in_flight"] == len(tickets) == 2
    assert 500 < tickets[0].time_until_deadline() <= 600

    tickets[0].ack()
    q.ack(tickets)
    q.ack(tickets)

    assert {each.message for each in tickets} == {"one", "two"}
    assert q.info()["in_flight"] == 0


def test_a_late_ack_does_not_remove_a_message_of_somebody_else(q: CloudQueue) -> None:
    """After its deadline a message is delivered again; only its new holder can remove it."""
    q.push(["slow"])
    (late,) = q.pop_tickets(deadline=3)
    (now,) = q.pop_tickets(timeout=60, deadline=60)

    with pytest.raises(CloudException, match="1 of 1 tickets are no longer valid") as raised:
        late.ack()
    with pytest.raises(CloudException, match="no longer valid"):
        late.update_deadline(60)

    assert raised.value.code == "ticket.expired"
    assert q.info()["in_flight"] == 1
    now.ack()
    assert q.info()["in_flight"] == 0


def test_a_deadline_can_be_updated(q: CloudQueue) -> None:
    """A message is prolonged, and given back at once with 0."""
    q.push(["work"])
    (ticket,) = q.pop_tickets(deadline=6)
    ticket.update_deadline(600)
    assert ticket.time_until_deadline() > 500
    assert q.pop(timeout=7) == []

    ticket.update_deadline(0)

    assert q.pop(timeout=30) == ["work"]


def test_a_pop_waits_for_a_push(q: CloudQueue) -> None:
    """The message that comes while it waits is returned at once."""
    pusher = threading.Timer(0.5, q.push, [["late"]])
    began = time.monotonic()
    pusher.start()

    assert q.pop(timeout=60) == ["late"]
    assert time.monotonic() - began < 50
    pusher.join()


def test_delayed_messages_come_later(q: CloudQueue) -> None:
    """They are counted apart, and cannot be taken before their time."""
    q.push(["later"], delay=2)
    info = q.info()

    assert (info["count"], info["delayed"]) == (0, 1)
    assert q.pop(timeout=30) == ["later"]


def test_json_is_for_other_languages(q: CloudQueue, client: Client) -> None:
    """A queue with the encoding `json` refuses what JSON cannot hold; any queue reads it."""
    written = queue.get(q.name, encoding="json")
    written.push([{"n": 1, "text": "ü"}, [1, 2, None]])

    assert sorted(map(str, pop_all(q, 2))) == ["[1, 2, None]", "{'n': 1, 'text': 'ü'}"]
    with pytest.raises(CloudException, match="Cannot write message 1 as JSON"):
        written.push([1, object()])


def test_jobs_push_and_pop(q: CloudQueue, client: Client) -> None:
    """A job is a user like any other."""

    def double(name: str) -> int:
        there = cloud.queue.get(name)
        numbers = there.pop()
        there.push([2 * number for number in numbers])
        return len(numbers)

    q.push([21])

    assert client.result(client.call(double, q.name)) == 1
    assert q.pop() == [42]


def test_accounts_have_queues_of_their_own(q: CloudQueue, client: Client, other: Client) -> None:
    """The same name is another queue; a ticket is valid in its own account only."""
    q.push(["mine"])
    (ticket,) = q.pop_tickets(deadline=60)
    with current_client(other):
        assert not queue.exists(q.name)
        theirs = queue.get(q.name)
        theirs.push(["theirs"])
        with pytest.raises(CloudException, match="not given out for this queue"):
            theirs.ack([ticket])
        assert theirs.pop() == ["theirs"]
        theirs.delete()
    with current_client(client):
        ticket.ack()


def test_tickets_of_another_queue_are_refused(q: CloudQueue) -> None:
    """A forged or foreign ticket removes nothing, nor do those sent with it."""
    another = queue.get(f"{q.name}-2")
    q.push(["here"])
    another.push(["there"])
    (here,), (there,) = q.pop_tickets(), another.pop_tickets()

    for foreign in (there, forged(here)):
        with pytest.raises(CloudException, match="Ticket 1 was not given out for this queue"):
            q.ack([here, foreign])

    assert q.info()["in_flight"] == 1
    another.delete()


def forged(ticket: MessageTicket) -> MessageTicket:
    """The ticket with one of its hexadecimal digits changed."""
    last = "0" if ticket.ticket[10] != "0" else "1"
    text = ticket.ticket[:10] + last + ticket.ticket[11:]
    return queue.MessageTicket(ticket.queue, ticket.message, text, ticket.deadline)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ü", "x" * 41, "a\n", 7])
def test_names_are_checked(client: Client, name: Any) -> None:
    """Letters, digits, hyphens and underscores, up to 40."""
    with current_client(client), pytest.raises(CloudException, match="is not a valid queue name"):
        queue.get(name)


def test_bad_arguments_are_refused(q: CloudQueue) -> None:
    """Each says what is allowed."""
    for call, message in (
        (lambda: q.pop(0), "max_count is 1 to 1,000"),
        (lambda: q.pop("7"), "max_count is 1 to 1,000"),
        (lambda: q.pop(timeout=-1), "timeout is a number of seconds, 0 or more"),
        (lambda: q.pop_tickets(deadline=2), "deadline is a number of seconds, 3 to 43,200"),
        (lambda: q.push([1], delay=10**9), "delay is a number of seconds, 0 to 31,622,400"),
        (lambda: q.push("text"), r"for one, push\(\[message\]\)"),
        (lambda: q.push(7), r"for one, push\(\[message\]\)"),
        (lambda: q.push([1, {"lock": threading.Lock()}]), "message 1: .*'lock'"),
        (lambda: q.ack(["ticket"]), "a list of tickets from pop_tickets"),
        (lambda: queue.get(q.name, encoding="xml"), "encoding is 'pickle' or 'json'"),
    ):
        with pytest.raises(CloudException, match=message):
            call()
    assert q.count() == 0


def test_queues_from_the_shell(picloud: Callable[..., Exited], client: Client) -> None:
    """Texts are pushed and popped, a line each; errors are one line."""
    name = f"shell-{uuid.uuid4().hex[:20]}"
    missing = picloud("queue", "push", name, "lost")
    picloud("queue", "create", name)
    picloud("queue", "push", name, "ada", "1")
    picloud("queue", "push", name, '{"x": 1}', "--parse")
    picloud("queue", "push", name, given=b"grace\nalan\n")
    not_json = picloud("queue", "push", name, "{", "--parse")
    nothing = picloud("queue", "push", name, given=b"")

    assert (missing.code, missing.out) == (1, "")
    assert f"no queue {name!r}" in missing.err
    assert "'{' is not JSON" in not_json.err
    assert (nothing.code, nothing.err) == (0, "Standard input is empty: no message was added.\n")
    assert picloud("queue", "count", name).out == "5\n"
    assert name in picloud("queue", "list").out.split()
    assert json.loads(picloud("queue", "info", name, "--json").out)["count"] == 5
    popped = picloud("queue", "pop", name, "--timeout", "20").out.splitlines()
    assert sorted(popped) == ["1", "ada", "alan", "grace", '{"x": 1}']
    picloud("queue", "push", name, "purged")
    picloud("queue", "purge", name)
    assert picloud("queue", "pop", name, "--json").out == "[]\n"
    picloud("queue", "delete", name)
    assert name not in picloud("queue", "list").out.split()
