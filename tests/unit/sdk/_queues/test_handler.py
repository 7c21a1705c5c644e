"""Calling a handler: its outputs, and the rules for what it raises."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cloud._client.queue_messages import packed, unpacked
from cloud._queues.arguments import Target
from cloud._queues.handler import HandlerRules, handle, handle_batch
from cloud._queues.retry import MaxRetryException, Retry
from msgspec.structs import replace
from picloud_model.wire.queue import QueueMessage, TakenMessage

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

OUT, ERRORS = Target("out", "pickle"), Target("errors", "pickle")


@pytest.fixture(autouse=True)
def used(client: Client) -> Iterator[None]:
    """The functions of `cloud` use the client."""
    with current_client(client):
        yield


def rules(handler: Any, **changed: Any) -> HandlerRules:
    """Return rules with an output queue."""
    return HandlerRules(
        **({"queue": "in", "message_handler": handler, "outputs": (OUT,)} | changed)
    )


def taken(client: Client, value: Any, retries: int = 0) -> TakenMessage:
    """Return a delivery of a value."""
    (message,) = packed(client, [value], "pickle")
    return TakenMessage("ticket", replace(message, retries=retries), 0.0)


def value_of(client: Client, content: bytes) -> Any:
    """Return the value of an output."""
    message = QueueMessage(pickled=content, envelope=client.packer.envelope)
    return unpacked(client, [message])[0]


def outputs(client: Client, chosen: HandlerRules, message: TakenMessage) -> list[Any]:
    """Return the queue and the value of each output."""
    handled = handle(client, chosen, message)
    assert handled is not None
    assert handled.ticket == "ticket"
    return [
        (target.queue, value_of(client, content))
        for target, content in handled.outputs
        if isinstance(content, bytes)
    ]


def test_what_is_returned_is_pushed(client: Client) -> None:
    """Into each output queue; None is not, and items are pushed one by one with `iter_output`."""
    two = rules(lambda x: x + 1, outputs=(OUT, Target("other", "pickle")))

    assert outputs(client, two, taken(client, 1)) == [("out", 2), ("other", 2)]
    assert outputs(client, rules(lambda x: None), taken(client, 1)) == []
    each = rules(range, iter_output=True)
    assert outputs(client, each, taken(client, 2)) == [("out", 0), ("out", 1)]


def test_a_generator_runs_though_nothing_is_pushed(client: Client) -> None:
    """Without output queues, too."""
    seen = []
    chosen = rules(lambda x: (seen.append(i) for i in range(x)), outputs=(), iter_output=True)

    assert outputs(client, chosen, taken(client, 3)) == []
    assert seen == [0, 1, 2]


def test_a_failure_without_a_rule_is_printed(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message is neither removed nor pushed."""
    assert handle(client, rules(lambda x: 1 / x), taken(client, 0)) is None
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_a_message_is_retried_as_it_is(client: Client) -> None:
    """Into its own queue with a delay, until that was done often enough."""
    chosen = rules(
        lambda x: x.append(1) or 1 / 0,
        retry_on=(ZeroDivisionError,),
        max_retries=2,
        retry_delay_s=9.0,
        on_error={ArithmeticError: ERRORS},
    )
    message = taken(client, [], retries=1)

    again = handle(client, chosen, message)

    assert again is not None
    assert again.outputs == [(Target("in", "", 9.0), replace(message.message, retries=2))]
    ((queue, failed),) = outputs(client, chosen, taken(client, [], retries=2))
    assert queue == "errors"
    assert (failed["message"], failed["queue"]) == ([1], "in")
    assert isinstance(failed["exception"], ZeroDivisionError)
    assert "division by zero" in failed["traceback"]


def test_a_handler_may_raise_retry(client: Client) -> None:
    """At the end `MaxRetryException` counts, which the nearest rule in `on_error` is for."""

    def busy(message: Any) -> None:
        raise Retry(5, 1, f"{message} is busy")

    chosen = rules(busy, on_error={Exception: OUT, MaxRetryException: ERRORS})
    first = handle(client, chosen, taken(client, "x"))

    assert first is not None
    assert first.outputs[0][0] == Target("in", "", 5)
    ((queue, failed),) = outputs(client, chosen, taken(client, "x", retries=1))
    assert queue == "errors"
    assert "handled 2 times: x is busy" in str(failed["exception"])
    assert failed["exception"].attachment() == "in"


def batch(client: Client, *values: Any) -> list[TakenMessage]:
    """Return a delivery of each value, with its number as ticket."""
    messages = packed(client, values, "pickle")
    return [TakenMessage(str(at), each, 0.0) for at, each in enumerate(messages)]


def test_a_batch_has_an_output_for_each_message(client: Client) -> None:
    """None pushes nothing; without output queues it may return anything, and generators run."""
    ran = []
    doubled = handle_batch(
        client, rules(lambda xs: [2 * x or None for x in xs]), batch(client, 0, 4)
    )

    assert [[target for target, _ in each.outputs] for each in doubled.values() if each] == [
        [],
        [OUT],
    ]
    assert all(handle_batch(client, rules(lambda xs: None), batch(client, 1, 2)).values())
    for returned in (lambda xs: 7, lambda xs: (ran.append(x) for x in xs)):
        assert all(handle_batch(client, rules(returned, outputs=()), batch(client, 1, 2)).values())
    assert ran == [1, 2]


def test_what_a_batch_raises_is_of_each_message(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is retried, or sent to the queue of errors; without a rule it is printed once."""

    def divide(numbers: list[int]) -> list[float]:
        return [1 / number for number in numbers]

    chosen = rules(divide, on_error={ArithmeticError: ERRORS})
    failed = [
        value_of(client, content)["message"]
        for each in handle_batch(client, chosen, batch(client, 1, 0)).values()
        for _, content in (each.outputs if each else ())
        if isinstance(content, bytes)
    ]
    assert failed == [1, 0]

    assert handle_batch(client, rules(divide), batch(client, 1, 0)) == {"0": None, "1": None}
    assert capsys.readouterr().err.count("Traceback") == 1
    assert handle_batch(client, rules(lambda xs: [1]), batch(client, 1, 2)) == {
        "0": None,
        "1": None,
    }
    assert "returned 1 values for 2 messages" in capsys.readouterr().err


def test_a_message_that_cannot_be_read_does_not_spoil_its_batch(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """It fails alone."""
    good, bad = batch(client, 1, 2)
    bad = replace(bad, message=replace(bad.message, pickled=b"?"))

    handled = handle_batch(client, rules(list), [good, bad])

    assert (handled["0"] is None, handled["1"] is None) == (False, True)
    assert handle_batch(client, rules(list), [bad]) == {"1": None}
    assert "message" in capsys.readouterr().err


def test_what_cannot_be_sent_is_described(client: Client) -> None:
    """An output that cannot be pickled is a failure; so is an exception, which becomes a text."""

    def unpicklable(message: Any) -> Any:
        return (each for each in message)

    def broken(message: Any) -> None:
        raise OSError(each for each in message)

    for handler, expected in ((unpicklable, "CloudException"), (broken, "OSError: <generator")):
        chosen = rules(handler, on_error={Exception: ERRORS})
        ((_, failed),) = outputs(client, chosen, taken(client, [1]))
        assert expected in repr(failed["exception"])
        assert failed["message"] == [1]


def test_errors_in_json(client: Client) -> None:
    """Exceptions are texts, and so is a message that JSON cannot hold."""
    chosen = rules(lambda x: 1 / 0, on_error={Exception: Target("errors", "json")})

    handled = handle(client, chosen, taken(client, {1, 2}))

    assert handled is not None
    failed = json.loads(handled.outputs[0][1])  # type: ignore[arg-type]
    assert failed["exception"] == "ZeroDivisionError: division by zero"
    assert failed["message"] == "{1, 2}"
