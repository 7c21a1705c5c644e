"""The loop of a handler's jobs: what it takes, sends and gives back."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cloud._queues import handler_loop
from cloud._queues.arguments import Target
from cloud._queues.handler import HandledMessage, HandlerRules
from cloud._queues.handler_loop import IDLE_S, HandlerLoop
from cloud.errors import CloudException
from picloud_model import errors, wire
from picloud_model.wire.attachment import HandledRequest
from picloud_model.wire.queue import (
    ExtendRequest,
    MessagesTaken,
    QueueMessage,
    TakenMessage,
    TakeRequest,
    TicketsChecked,
)

from tests.current_client import current_client
from tests.polling import until
from tests.unit.sdk.fake_server import FakeServer, client_for, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTACHMENT = "a" * 32


class QueueServer(FakeServer):
    """A server with a queue of numbers whose tickets are their texts; then the handler is gone."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.waiting = list(range(count))
        self.takes: list[tuple[int, float]] = []
        self.handled: list[HandledRequest] = []
        self.extended: list[ExtendRequest] = []
        self.expired: set[str] = set()

    def _queues_take(self, body: bytes) -> MessagesTaken:
        request = wire.decode(body, TakeRequest)
        assert request.attachment == ATTACHMENT
        taken, self.waiting = (
            self.waiting[: request.max_count],
            self.waiting[request.max_count :],
        )
        self.takes.append((request.max_count, request.timeout_s))
        if not taken and request.timeout_s < IDLE_S / 2:
            return MessagesTaken(messages=[], deadline_at=0.0)
        if not taken:
            raise errors.HandlerReplaced
        messages = [TakenMessage(str(each), QueueMessage(json=str(each)), 0.0) for each in taken]
        return MessagesTaken(messages=messages, deadline_at=0.0)

    def _attachments_handled(self, body: bytes) -> TicketsChecked:
        request = wire.decode(body, HandledRequest)
        expired = [at for at, each in enumerate(request.tickets) if each in self.expired]
        if not expired:
            self.handled.append(request)
        return TicketsChecked(expired=expired)

    def _queues_extend(self, body: bytes) -> TicketsChecked:
        self.extended.append(wire.decode(body, ExtendRequest))
        return TicketsChecked()

    def pushed(self) -> list[str | None]:
        """Return the messages that were pushed."""
        outputs = (output for request in self.handled for output in request.outputs)
        return [message.json for output in outputs for message in output.messages]


@pytest.fixture
def server() -> Iterator[QueueServer]:
    """A queue of ten numbers."""
    made = QueueServer(10)
    with current_client(client_for(made)):
        yield made


def loop(handler: Any, readers: int = 1, **changed: Any) -> HandlerLoop:
    """Return the loop of a handler that pushes JSON."""
    rules = HandlerRules(queue="in", message_handler=handler, outputs=(Target("out", "json"),))
    rules = msgspec.structs.replace(rules, **changed)
    return HandlerLoop(ATTACHMENT, rules, readers)


@pytest.mark.parametrize("readers", [1, 3])
def test_each_message_is_handled_and_acknowledged(server: QueueServer, readers: int) -> None:
    """The outputs travel with the tickets of what they were made from."""
    count = loop(lambda x: x * 2, readers)()

    tickets = [ticket for request in server.handled for ticket in request.tickets]
    assert count == 10
    assert sorted(map(int, tickets)) == list(range(10))
    assert sorted(int(each or "") for each in server.pushed()) == list(range(0, 20, 2))


def test_many_messages_are_few_requests() -> None:
    """Those of a handler that is fast are taken and sent by the hundred, not one by one."""
    server = QueueServer(2000)
    with current_client(client_for(server)):
        assert loop(lambda x: x)() == 2000

    assert len(server.takes) < 30
    assert len(server.handled) < 30


def test_readers_share_a_request_for_what_they_have_done() -> None:
    """While that of one is on its way, the others go on; then it sends theirs together."""

    class SlowServer(QueueServer):
        def _attachments_handled(self, body: bytes) -> TicketsChecked:
            if not self.handled:
                until(lambda: len(run._unsent) == 3, "the others are done")
                until(lambda: sum(map(threading.Thread.is_alive, readers)) == 1, "they go on")
            return super()._attachments_handled(body)

    def work(number: int) -> handler_loop._Work:
        made = handler_loop._Work()
        made.add(str(number), HandledMessage(str(number), []))
        return made

    server = SlowServer(0)
    rules = HandlerRules(queue="in", message_handler=None)
    with current_client(client_for(server)):
        run = handler_loop._Run(ATTACHMENT, rules)
        readers = [
            threading.Thread(
                target=contextvars.copy_context().run, args=(run._send_together, work(number))
            )
            for number in range(4)
        ]
        for each in readers:
            each.start()
        for each in readers:
            each.join(30)
        run.end()

    assert [len(each.tickets) for each in server.handled] == [1, 3]
    assert run.count == 4


def test_the_source_of_each_output_is_named_if_repeats_are_to_be_left_out(
    server: QueueServer,
) -> None:
    """Its position among the tickets of the request."""
    loop(lambda x: [x, x] if x % 2 else [], iter_output=True, dedupe=True)()

    named = [
        (request.tickets[source], message.json)
        for request in server.handled
        for output in request.outputs
        for source, message in zip(output.sources, output.messages, strict=True)
    ]
    assert named == [(str(number), str(number)) for number in (1, 1, 3, 3, 5, 5, 7, 7, 9, 9)]


def test_an_object_is_prepared_once_a_job(server: QueueServer) -> None:
    """`pre_handling` comes first and `post_handling` last."""
    calls: list[Any] = []

    class Handler:
        def pre_handling(self) -> None:
            calls.append("pre")

        def message_handler(self, message: int) -> None:
            calls.append(message)

        def post_handling(self) -> None:
            calls.append("post")

    loop(Handler())()

    assert calls == ["pre", *range(10), "post"]
    assert server.pushed() == []


def test_a_batch_is_one_call(server: QueueServer) -> None:
    """It is filled for a while; what the call returns is one output for each message."""
    sizes: list[int] = []

    def negative(numbers: list[int]) -> list[int | None]:
        sizes.append(len(numbers))
        return [-number or None for number in numbers]

    assert loop(negative, batch=4, batch_wait_s=0.05)() == 10

    assert sizes == [4, 4, 2]
    assert sorted(int(each or "") for each in server.pushed()) == list(range(-9, 0))
    asked = [(count, wait_s < 1) for count, wait_s in server.takes]
    assert asked[:3] == [(4, False), (4, False), (4, False)]
    assert (2, True) in asked


def test_messages_that_another_handler_has_are_left_to_it(server: QueueServer) -> None:
    """Their outputs are not pushed; those of the others are."""
    server.expired = {"3", "4"}

    assert loop(lambda x: x)() == 8
    assert sorted(each or "" for each in server.pushed()) == list("01256789")


def test_a_failed_message_comes_again_later(
    server: QueueServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not acknowledged, and held back for a while."""
    assert loop(lambda x: 1 // (x - 5))() == 9

    assert [(each.tickets, each.deadline_s) for each in server.extended] == [(["5"], 30.0)]
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("readers", [1, 3])
def test_what_ends_the_job_gives_messages_back(server: QueueServer, readers: int) -> None:
    """So that another job can take them at once."""

    def killed(message: int) -> None:
        if message == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop(killed, readers)()

    acknowledged = {ticket for request in server.handled for ticket in request.tickets}
    given_back = {t for each in server.extended if each.deadline_s == 0 for t in each.tickets}
    assert "5" in given_back - acknowledged


def test_an_error_of_the_server_ends_the_job(server: QueueServer) -> None:
    """The starter sees that it failed, and starts another one."""
    server.faults.append(problem(errors.RequestRefused("no")))

    with pytest.raises(CloudException, match="no"):
        loop(lambda x: x)()
