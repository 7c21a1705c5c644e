"""What a job of a handler runs: it takes messages of a queue until none has come for a while."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.attachment import HOLD_S, HandledRequest, HandlerOutput
from picloud_model.wire.queue import MAX_MESSAGES

from cloud._client.current import client
from cloud._client.queue_messages import messages_of
from cloud._config.settings import ClientSettings
from cloud._queues.handler import HandlerRules, handle, handle_batch
from cloud._queues.intake import Intake, IntakeEnded
from cloud._resources.attachment import REPLACED, AttachmentClient
from cloud._resources.queue import NOT_FOUND, QueueClient
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_model.wire.queue import QueueMessage, TakenMessage

    from cloud._queues.arguments import Target
    from cloud._queues.handler import HandledMessage

IDLE_S: Final = 20.0
"""How long a job waits for a message before it ends."""
_KEEP_EVERY_S: Final = 4.0
_FAILED_S: Final = 30.0
"""After how long a message is handled again that failed without a rule for it."""
_SEND_EVERY_S: Final = 0.25
"""How long what is done waits for more, in seconds."""
_MOST: Final = 400
"""Most messages that are sent at once; so many may be pushed twice if NATS or the API is killed."""
_SEND_BYTES: Final = 4_000_000
_OVER: Final = (REPLACED, NOT_FOUND)
"""The codes of the errors after which a job ends."""


class HandlerLoop(msgspec.Struct, frozen=True):
    """The function of a handler's jobs; `attachment` is the id under which it was attached."""

    attachment: str
    rules: HandlerRules
    readers: int

    def __call__(self) -> int:
        """Handle messages until none has come for 20 s; return how many were handled."""
        handler = self.rules.message_handler
        before = getattr(handler, "pre_handling", None)
        after = getattr(handler, "post_handling", None)
        method = getattr(handler, "message_handler", handler)
        run = _Run(self.attachment, msgspec.structs.replace(self.rules, message_handler=method))
        if before is not None:
            before()
        try:
            run.read_with(self.readers)
        finally:
            run.end()
        if after is not None:
            after()
        return run.count


class _Run:
    """One run of the loop, with its readers, and a thread that prolongs what they hold."""

    def __init__(self, attachment: str, rules: HandlerRules) -> None:
        self.count = 0
        self._attachment = attachment
        self._jid = ClientSettings.read().jid or 0
        self._rules = rules
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._unsent: deque[_Work] = deque()
        self._room = threading.Condition(self._lock)
        self._is_sending = False
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._keeper = threading.Thread(target=_in_context(self._keep), daemon=True)
        self._keeper.start()

    def read_with(self, readers: int) -> None:
        """Let so many readers handle messages, each one at a time."""
        if self._rules.batch:
            self._read_each(self._read_batches, readers)
            return
        intake = Intake(self._take_ahead, readers)
        threading.Thread(target=_in_context(intake.run), daemon=True).start()

        def read() -> None:
            try:
                self._read(intake)
            finally:
                intake.end()

        self._read_each(read, readers)

    def _read_each(self, read: Callable[[], None], readers: int) -> None:
        """Let so many readers read."""
        if readers == 1:
            read()
            return
        threads = [
            threading.Thread(target=_in_context(lambda: self._read_apart(read)), daemon=True)
            for _ in range(readers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                # Not forever: a signal that ends the job is handled between two calls.
                thread.join(1.0)
        if self._failure is not None:
            raise self._failure

    def end(self) -> None:
        """Stop, and give back what was not handled."""
        self._ended.set()
        with self._lock:
            held, self._held = list(self._held), set()
        if held:
            with suppress(CloudException):
                _queues().extend(self._rules.queue, held, 0)

    def _read_apart(self, read: Callable[[], None]) -> None:
        try:
            read()
        except BaseException as error:  # noqa: BLE001 - the job ends with it
            self._failure = error
            self._ended.set()

    def _read(self, intake: Intake) -> None:
        """Handle one message after the other; send what comes of them together."""
        while not self._ended.is_set() and (taken := intake.wait()) is not None:
            # Once for all of them: in a job, its token is looked up.
            here, began = client(), time.monotonic()
            work = _Work()
            while taken is not None:
                work.add(taken.ticket, handle(here, self._rules, taken))
                if work.count >= _MOST or time.monotonic() - began >= _SEND_EVERY_S:
                    break
                if work.size >= _SEND_BYTES or self._ended.is_set():
                    break
                taken = intake.next()
            intake.note_pace((time.monotonic() - began) / work.count)
            self._send_together(work)

    def _read_batches(self) -> None:
        """Handle lists of messages."""
        while not self._ended.is_set():
            try:
                taken = self._take(self._rules.batch, IDLE_S)
                self._fill(taken)
            except CloudException as error:
                if error.code in _OVER:
                    return
                raise
            if not taken:
                return
            if self._ended.is_set():
                self.end()
                return
            work = _Work()
            for ticket, handled in handle_batch(client(), self._rules, taken).items():
                work.add(ticket, handled)
                if work.size >= _SEND_BYTES:
                    self._send(work)
                    work = _Work()
            self._send(work)

    def _take_ahead(self, most: int) -> list[TakenMessage]:
        """Take messages for all readers; none once another handler is attached."""
        try:
            taken = self._take(most, IDLE_S)
        except CloudException as error:
            if error.code in _OVER:
                raise IntakeEnded from error
            raise
        if self._ended.is_set():
            self.end()
            raise IntakeEnded
        return taken

    def _take(self, most: int, timeout_s: float) -> list[TakenMessage]:
        taken = _queues().take(
            self._rules.queue,
            most,
            timeout_s,
            HOLD_S,
            attachment=self._attachment,
            jid=self._jid,
        )
        with self._lock:
            self._held.update(each.ticket for each in taken.messages)
        return list(taken.messages)

    def _fill(self, taken: list[TakenMessage]) -> None:
        """Add the messages that come until the batch is full, or its wait is over."""
        end = time.monotonic() + self._rules.batch_wait_s
        while taken and len(taken) < self._rules.batch and not self._ended.is_set():
            remaining_s = end - time.monotonic()
            if remaining_s <= 0:
                return
            taken += self._take(self._rules.batch - len(taken), remaining_s)

    def _send_together(self, work: _Work) -> None:
        """Send what a reader has done, and what others have done meanwhile.

        If another reader is sending, it sends this, too, and this one goes on, unless as much as
        one request may have is unsent. If a request fails, the job ends.
        """
        with self._room:
            self._unsent.append(work)
            while self._is_sending and sum(each.count for each in self._unsent) >= _MOST:
                self._room.wait()
            if self._is_sending:
                return
            self._is_sending = True
        try:
            while (joined := self._joined()) is not None:
                self._send(joined)
        except BaseException:
            with self._room:
                self._is_sending = False
                self._room.notify_all()
            raise

    def _joined(self) -> _Work | None:
        """Return what the next request has; None once all is sent, which ends the sending."""
        joined = _Work()
        with self._room:
            while self._unsent and joined.has_room_for(self._unsent[0]):
                joined.join(self._unsent.popleft())
            self._is_sending = bool(joined.count)
            self._room.notify_all()
        return joined if joined.count else None

    def _send(self, work: _Work) -> None:
        """Push the outputs of messages and remove these; give back those that failed, for later."""
        done, failed = work.done, work.failed
        tickets = [each.ticket for each in done]
        while done:
            request = HandledRequest(
                queue=self._rules.queue,
                attachment=self._attachment,
                tickets=[each.ticket for each in done],
                outputs=_outputs(done, dedupe=self._rules.dedupe),
                failed=sum(each.has_failed for each in done),
            )
            expired = AttachmentClient(client().transport).handled(request)
            if not request.outputs or not expired:
                with self._lock:
                    self.count += len(done) - len(expired)
                break
            # Another handler has these by now: what it makes of them counts.
            done = [each for position, each in enumerate(done) if position not in expired]
        if failed:
            _queues().extend(self._rules.queue, failed, _FAILED_S, failed=True)
        with self._lock:
            self._held.difference_update(tickets, failed)

    def _keep(self) -> None:
        """Prolong the deadline of what is being handled."""
        while not self._ended.wait(_KEEP_EVERY_S):
            with self._lock:
                held = list(self._held)
            if held:
                # The next attempt may succeed; if not, another handler gets the messages.
                with suppress(CloudException):
                    _queues().extend(self._rules.queue, held, HOLD_S)


class _Work:
    """What was done with some messages, to be sent together."""

    def __init__(self) -> None:
        self.done: list[HandledMessage] = []
        self.failed: list[str] = []
        self.size = 0

    @property
    def count(self) -> int:
        """How many messages these are."""
        return len(self.done) + len(self.failed)

    def add(self, ticket: str, handled: HandledMessage | None) -> None:
        """Add what came of the message of a ticket; None if it failed."""
        if handled is None:
            self.failed.append(ticket)
        else:
            self.done.append(handled)
            self.size += handled.size

    def has_room_for(self, other: _Work) -> bool:
        """Return whether other work can be sent with this; always if this is none."""
        fits = self.count + other.count <= _MOST and self.size + other.size <= _SEND_BYTES
        return fits or not self.count

    def join(self, other: _Work) -> None:
        """Add what was done with other messages."""
        self.done += other.done
        self.failed += other.failed
        self.size += other.size


def _outputs(done: Sequence[HandledMessage], *, dedupe: bool) -> list[HandlerOutput]:
    made: dict[Target, list[bytes]] = {}
    again: dict[Target, list[QueueMessage]] = {}
    sources: dict[Target, list[int]] = {}
    for position, each in enumerate(done):
        for target, content in each.outputs:
            # Only a queue of its own gets a message again, with no encoding.
            if isinstance(content, bytes):
                made.setdefault(target, []).append(content)
            else:
                again.setdefault(target, []).append(content)
            if dedupe:
                sources.setdefault(target, []).append(position)
    count = sum(map(len, made.values()))
    outputs = []
    encoded = (
        (target, messages_of(client(), made[target], target.encoding, count)) for target in made
    )
    for target, messages in (*again.items(), *encoded):
        for start in range(0, len(messages), MAX_MESSAGES):
            output = HandlerOutput(
                queue=target.queue,
                messages=messages[start : start + MAX_MESSAGES],
                delay_s=target.delay_s,
                sources=sources.get(target, [])[start : start + MAX_MESSAGES],
            )
            outputs.append(output)
    return outputs


def _queues() -> QueueClient:
    return QueueClient(client().transport)


def _in_context(function: Callable[[], None]) -> Callable[[], None]:
    """Return a function that runs in a copy of the present context, in which the job is known."""
    context = contextvars.copy_context()
    return lambda: context.run(function)
