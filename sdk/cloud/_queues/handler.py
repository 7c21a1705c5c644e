"""Calling a handler with a message: what it makes of it, and what happens when it fails."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from picloud_model.wire.queue import QueueMessage

from cloud._client.queue_messages import JSON, encoded, unpacked
from cloud._queues.arguments import Target
from cloud._queues.retry import MaxRetryException, Retry
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.queue import TakenMessage

    from cloud._client.client import Client


class HandlerRules(msgspec.Struct, frozen=True, kw_only=True):
    """A handler, and what is done with what it returns or raises.

    A message that raised one of `retry_on` is handled again up to `max_retries` times, each time
    after `retry_delay_s`. A message that failed goes to the queue that `on_error` has for the
    nearest class of the exception. With a `batch`, the handler is called with a list of so many
    messages, or of those that have come `batch_wait_s` after the first. With `dedupe`, what it
    makes of a message is pushed once, even if the message is handled twice.
    """

    queue: str
    message_handler: Any
    outputs: tuple[Target, ...] = ()
    iter_output: bool = False
    retry_on: tuple[type[BaseException], ...] = ()
    max_retries: int = 0
    retry_delay_s: float = 0.0
    on_error: dict[type[BaseException], Target] = {}
    dedupe: bool = False
    batch: int = 0
    batch_wait_s: float = 0.0


class HandledMessage(msgspec.Struct, frozen=True):
    """A message that was handled: its ticket, and what to push where; a message again as it is.

    `has_failed` is whether the handler raised an exception.
    """

    ticket: str
    outputs: list[tuple[Target, bytes | QueueMessage]]
    has_failed: bool = False

    @property
    def size(self) -> int:
        """About how many bytes its outputs have."""
        return sum(len(each) if isinstance(each, bytes) else 0 for _, each in self.outputs)


def handle(client: Client, rules: HandlerRules, taken: TakenMessage) -> HandledMessage | None:
    """Call the handler with a message; return None if that failed and there is no rule for it."""
    value: Any = None
    try:
        (value,) = unpacked(client, [taken.message])
        return HandledMessage(taken.ticket, _outputs(client, rules, rules.message_handler(value)))
    except Exception as error:  # noqa: BLE001 - the rules say what happens
        return _failed(client, rules, taken, value, error)


def handle_batch(
    client: Client, rules: HandlerRules, taken: Sequence[TakenMessage]
) -> dict[str, HandledMessage | None]:
    """Call the handler with a list of messages; return by ticket what `handle` returns."""
    handled: dict[str, HandledMessage | None] = {}
    read: list[TakenMessage] = []
    values: list[Any] = []
    for each in taken:
        try:
            values += unpacked(client, [each.message])
            read.append(each)
        except Exception as error:  # noqa: BLE001 - the other messages can be read
            handled[each.ticket] = _failed(client, rules, each, None, error)
    if not read:
        return handled
    try:
        returned = _one_for_each(rules, rules.message_handler(list(values)), len(values))
        outputs = [_outputs(client, rules, value) for value in returned]
    except Exception as error:  # noqa: BLE001 - the rules say what happens to each
        is_printed = False
        for each, value in zip(read, values, strict=True):
            failed = _failed(client, rules, each, value, error, is_printed=is_printed)
            handled[each.ticket] = failed
            is_printed = is_printed or failed is None
        return handled
    made = zip(read, outputs, strict=True)
    return handled | {each.ticket: HandledMessage(each.ticket, output) for each, output in made}


def _one_for_each(rules: HandlerRules, returned: Any, count: int) -> list[Any]:
    """Return a value for each message of a batch; without output queues it may return anything."""
    is_checked = returned is not None and bool(rules.outputs)
    # A generator is to run.
    values = list(returned) if is_checked or isinstance(returned, Iterator) else []
    if not is_checked:
        return [None] * count
    if len(values) != count:
        raise CloudException(
            f"The handler returned {len(values):,} values for {count:,} messages; with `batch` it "
            "returns one for each, or None."
        )
    return values


def _failed(
    client: Client,
    rules: HandlerRules,
    taken: TakenMessage,
    value: Any,
    error: Exception,
    *,
    is_printed: bool = False,
) -> HandledMessage | None:
    """Return what is done with a message that failed; None if there is no rule for that."""
    if isinstance(error, Retry):
        if taken.message.retries < error.max_retries:
            return _again(rules, taken, error.delay)
        cause = error.inner_excp_value or error
        error = MaxRetryException(
            f"handled {taken.message.retries + 1} times: {error}", rules.queue
        )
        error.__cause__ = cause
    elif isinstance(error, rules.retry_on) and taken.message.retries < rules.max_retries:
        return _again(rules, taken, rules.retry_delay_s)
    target = next(
        (rules.on_error[kind] for kind in type(error).__mro__ if kind in rules.on_error), None
    )
    if target is None:
        if not is_printed:
            traceback.print_exception(error)
        return None
    failure = _failure(client, rules, value, error, target)
    return HandledMessage(taken.ticket, [(target, failure)], has_failed=True)


def _outputs(
    client: Client, rules: HandlerRules, returned: Any
) -> list[tuple[Target, bytes | QueueMessage]]:
    if returned is None:
        return []
    values = returned if rules.iter_output else [returned]
    targets = rules.outputs
    what = "what the handler returned"
    if not targets:
        # A generator is to run.
        for _ in values:
            pass
        return []
    outputs: list[tuple[Target, bytes | QueueMessage]] = []
    for value in values:
        contents: dict[str, bytes] = {}
        for target in targets:
            if target.encoding not in contents:
                contents[target.encoding] = encoded(client, value, target.encoding, what)
            outputs.append((target, contents[target.encoding]))
    return outputs


def _again(rules: HandlerRules, taken: TakenMessage, delay_s: float) -> HandledMessage:
    message = msgspec.structs.replace(taken.message, retries=taken.message.retries + 1)
    target = Target(rules.queue, "", delay_s)
    return HandledMessage(taken.ticket, [(target, message)], has_failed=True)


def _failure(
    client: Client, rules: HandlerRules, value: Any, error: Exception, target: Target
) -> bytes:
    """Return the message for a queue of errors."""
    described = {
        "message": value,
        "exception": error,
        "traceback": "".join(traceback.format_exception(error)),
        "queue": rules.queue,
    }
    text = f"{type(error).__name__}: {error}"
    if target.encoding == JSON:
        described["exception"] = text
    try:
        return encoded(client, described, target.encoding, "a failed message")
    except CloudException:
        # What cannot be sent as it is, the exception or the message, is described.
        described["exception"] = text
    try:
        return encoded(client, described, target.encoding, "a failed message")
    except CloudException:
        described["message"] = repr(value)
        return encoded(client, described, target.encoding, "a failed message")
