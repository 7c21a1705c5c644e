"""The consumer of one queue on NATS, which one process owns: it knows who holds which message.

JetStream accepts the acknowledgement of a delivery that has expired, also when the message was
delivered to another caller since. So deadlines and holders are kept here. The server itself takes a
message back only when its consumer is removed, which is what another process does to own the queue.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import PiCloudError

from picloud_driver.nats.api_refusal import ApiRefusal
from picloud_driver.nats.consumer_watch import ConsumerWatch
from picloud_driver.nats.deletion import delete
from picloud_driver.queue.nats_pull import Pulls
from picloud_driver.queue.nats_subject import numbers_of, subject_of
from picloud_driver.queue.pace import Pace
from picloud_driver.queue.port import Delivery, DeliveryId, TakeLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from nats.aio.msg import Msg

    from picloud_driver.nats.gateway import NatsGateway

_GRACE_S: Final = 0.05
"""The shortest wait for messages: the server has to be asked for them."""
_ANSWER_S: Final = 5.0
"""How long a take that does not wait for messages waits for the server to say that it has none."""
_FILL_S: Final = 0.25
"""How long a take waits for more messages, once it has some and the server has announced more."""
_PULL_S: Final = 30.0
_PULL_MARGIN_S: Final = 2.0
_CHECK_S: Final = 0.05
"""The shortest pause between two looks for deadlines."""
_LOST: Final = ("Deleted", "Leadership Change")
"""What the descriptions of a pull's end contain when the server no longer delivers."""
_PURGED_FROM: Final = 8
"""How many messages it takes for a purge to be faster than to acknowledge each."""


class ConsumerLost(Exception):
    """This process no longer owns the queue."""


class _Arrived(msgspec.Struct, frozen=True):
    """A message that the server has delivered and no caller has taken yet."""

    number: int
    reply: str
    body: bytes
    pushed_at: float


class _Held(msgspec.Struct):
    """A message that was taken."""

    attempt: int
    reply: str
    until: float


class QueueConsumer:
    """Takes, removes and postpones messages of one queue."""

    def __init__(self, gateway: NatsGateway, queue: str, name: str) -> None:
        self.name = name
        self._gateway = gateway
        self._queue = queue
        self._inbox = gateway.inbox()
        self._arrived: deque[_Arrived] = deque()
        self._held: dict[int, _Held] = {}
        self._lapsed: set[int] = set()
        """Numbers of messages that were given back and not taken since."""
        self._attempts = self._announced = self._last = 0
        self._pace = Pace()
        self._pulls = Pulls(gateway, queue, name, self._inbox)
        self._changed = asyncio.Event()
        self._lost = asyncio.Event()
        self._check: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: Callable[[], Awaitable[None]] | None = None
        self.watch = ConsumerWatch(gateway, queue, name, self._lose)

    async def open(self) -> None:
        """Begin to receive."""
        self._end = await self._gateway.subscribe(
            f"{self._inbox}.*", self._receive, deliver=self._deliver
        )

    async def close(self) -> None:
        """Stop; a take that waits here raises `ConsumerLost`."""
        self._lose()
        if self._check is not None:
            self._check.cancel()
        for task in self._tasks:
            task.cancel()
        await self.watch.close()
        if self._end is not None:
            await self._end()

    @property
    def in_flight(self) -> int:
        """How many messages are taken and not removed."""
        return len(self._held)

    @property
    def first_ready(self) -> int:
        """A number from which on the first message is that can be taken."""
        numbers = [*self._lapsed, *(each.number for each in self._arrived), self._last + 1]
        return min(numbers)

    def require(self) -> None:
        """Raise `ConsumerLost` unless this process owns the queue, as far as is known here."""
        if self._lost.is_set():
            raise ConsumerLost

    async def take(
        self,
        most: int,
        *,
        most_bytes: int,
        deadline_s: float,
        timeout_s: float,
        limits: TakeLimits,
    ) -> list[Delivery]:
        """Take messages; see `QueuePort.take`.

        Raises:
            ConsumerLost: When another process owns the queue by now.
        """
        if timeout_s <= 0 and not self._arrived:
            await self._pull_ready(most)
        end = time.monotonic() + max(timeout_s, _GRACE_S)
        while not self._arrived or not self._allowed(most, limits):
            self.require()
            remaining_s = end - time.monotonic()
            if remaining_s <= 0:
                return []
            if not self._arrived:
                await self._ensure_pull(most, remaining_s)
                if not self._arrived:
                    await self._wait(remaining_s)
            else:
                await self._wait(min(remaining_s, self._wait_s(limits)))
        await self._fill(self._allowed(most, limits))
        # By now another take may have spent what is allowed.
        taken = self._hold(self._allowed(most, limits), most_bytes, deadline_s)
        if limits.per_second:
            self._pace.spend(len(taken), limits.per_second, time.monotonic())
        return taken

    def _allowed(self, most: int, limits: TakeLimits) -> int:
        """Return how many messages limits allow to be taken now, `most` at most."""
        if limits.in_flight:
            most = max(0, min(most, limits.in_flight - len(self._held)))
        if limits.per_second:
            most = min(most, self._pace.allowed(limits.per_second, time.monotonic()))
        return most

    def _wait_s(self, limits: TakeLimits) -> float:
        """Return how long to wait, unless something changes, for the limits to allow a message."""
        if not limits.per_second:
            return _PULL_S
        # Not 0: what is in flight may forbid it, too.
        return max(_GRACE_S, self._pace.wait_s(limits.per_second, time.monotonic()))

    async def remove(self, deliveries: Sequence[DeliveryId]) -> list[bool]:
        """Remove messages; see `QueuePort.remove`.

        Those before all others that are left are purged, which takes the server as long as two or
        three acknowledgements. One of them is acknowledged first, as only that says whether this
        process still owns the queue.
        """
        gone = {each.number for each in deliveries if self._holds(each)}
        besides = self._first_besides(gone)
        first = sorted(number for number in gone if number < besides)
        purged = first if len(first) >= _PURGED_FROM else []
        acknowledged = [*gone.difference(purged[1:])]
        await self._acknowledge([self._held[number].reply for number in acknowledged])
        if purged:
            await self._purge(purged[-1])
        if self.watch.is_replicated:
            # The server that confirms an acknowledgement may be lost before others know of it.
            try:
                await delete(self._gateway, self._queue, gone.difference(purged))
            except ApiRefusal as refusal:
                self._lose()
                raise ConsumerLost from refusal
        for number in gone:
            self._held.pop(number, None)
            self._lapsed.discard(number)  # if its deadline passed meanwhile
        self._wake()  # a take with a limit
        return [
            each.number in gone
            or (each.number not in self._held and each.number not in self._lapsed)
            for each in deliveries
        ]

    async def _acknowledge(self, replies: Sequence[str]) -> None:
        """Acknowledge deliveries.

        The server never confirms that if it removes the consumer first, with its queue.
        """
        acknowledging = asyncio.create_task(self._gateway.acknowledge(replies))
        losing = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait((acknowledging, losing), return_when=asyncio.FIRST_COMPLETED)
            if not acknowledging.done() or not acknowledging.result():
                self._lose()
                raise ConsumerLost
        finally:
            acknowledging.cancel()
            losing.cancel()

    def _first_besides(self, numbers: set[int]) -> int:
        """Return a number below which this process knows of no other message that is left."""
        others = self._held.keys() - numbers | self._lapsed
        return min([*others, *(each.number for each in self._arrived), self._last + 1])

    async def _purge(self, last: int) -> None:
        """Remove all messages up to a number, except for those that are delayed."""
        purged = {"filter": subject_of(self._queue), "seq": last + 1}
        try:
            await self._gateway.api(f"STREAM.PURGE.{self._queue}", purged)
        except ApiRefusal as refusal:
            raise self._gateway.refusal(refusal, refusal.code) from refusal

    def postpone(self, deliveries: Sequence[DeliveryId], deadline_s: float) -> list[bool]:
        """Set new deadlines; see `QueuePort.postpone`."""
        self.require()
        until = time.monotonic() + deadline_s
        postponed = [self._holds(each) for each in deliveries]
        for each, holds in zip(deliveries, postponed, strict=True):
            if holds:
                self._held[each.number].until = until
        if deadline_s <= 0:
            self._expire()
        else:
            self._check_at(until)
        return postponed

    def forget(self) -> None:
        """Forget all messages, which were purged."""
        self._arrived.clear()
        self._held.clear()
        self._lapsed.clear()

    def reconnected(self) -> None:
        """Give up the queue, which is owned anew with the next request.

        A connection that was lost may have lost deliveries with it, and a server that was killed
        has forgotten some. Only a new consumer gets all of these messages again.
        """
        self._lose()

    # --- pulling ---

    async def _ensure_pull(self, most: int, wait_s: float) -> None:
        self._require_deliveries()
        if self._pulls.is_open:
            return
        wait_s = min(wait_s, _PULL_S)
        await self._pulls.request(most, wait_s + _PULL_MARGIN_S, waits_s=wait_s)

    async def _pull_ready(self, most: int) -> None:
        """Ask the server for messages that it has; wait until it has sent one, or has none.

        An earlier pull that waits gets them first, and the server sends them before its answer.
        """
        number = await self._pulls.request(most, _ANSWER_S)
        end = time.monotonic() + _ANSWER_S
        while self._pulls.is_unanswered(number) and time.monotonic() < end:
            self.require()
            await self._wait(end - time.monotonic())
        if self._pulls.is_unanswered(number):
            self._require_deliveries()
        await self._fill(most)
        self._pulls.stop(number)

    def _require_deliveries(self) -> None:
        """Give up a queue that several servers store if deliveries were lost between them."""
        if self.watch.is_replicated and self._pulls.has_losses:
            self._lose()
            raise ConsumerLost

    async def _fill(self, most: int) -> None:
        """Wait for messages that the server has announced."""
        end = time.monotonic() + _FILL_S
        while self._pulls.expect_more(self._announced) and len(self._arrived) < most:
            remaining_s = end - time.monotonic()
            if remaining_s <= 0:
                return
            await self._wait(remaining_s)

    async def _receive(self, message: Msg) -> None:
        self._deliver(message.subject, message.reply, message.data, message.headers)

    def _deliver(
        self, subject: str, reply: str, body: bytes, headers: Mapping[str, str] | None
    ) -> None:
        status = headers.get("Status") if headers else None
        if headers and status is not None and subject.startswith(self._inbox):
            self._pull_ended(subject, status, headers)
        else:
            self._add(reply, body)
        self._wake()

    def _pull_ended(self, subject: str, status: str, headers: Mapping[str, str]) -> None:
        description = headers.get("Description", "")
        if status == "503" or any(each in description for each in _LOST):
            self._lose()
        self._pulls.end(subject, status, headers)

    def _add(self, reply: str, body: bytes) -> None:
        number, stored_at, self._announced = numbers_of(reply)
        self._last = max(self._last, number)
        self._pulls.arrive()
        self._arrived.append(_Arrived(number, reply, body, stored_at))

    # --- holding ---

    def _hold(self, most: int, most_bytes: int, deadline_s: float) -> list[Delivery]:
        until, size = time.monotonic() + deadline_s, 0
        taken: list[Delivery] = []
        while self._arrived and len(taken) < most and size < most_bytes:
            arrived = self._arrived.popleft()
            self._attempts += 1
            self._held[arrived.number] = _Held(self._attempts, arrived.reply, until)
            self._lapsed.discard(arrived.number)
            delivery = DeliveryId(arrived.number, self._attempts, self.name)
            taken.append(Delivery(delivery, arrived.body, arrived.pushed_at))
            size += len(arrived.body)
        self._check_at(until)
        return taken

    def _holds(self, delivery: DeliveryId) -> bool:
        held = self._held.get(delivery.number)
        return held is not None and (held.attempt, self.name) == (delivery.attempt, delivery.owner)

    def _check_at(self, until: float) -> None:
        """Look for deadlines at a time, unless there is an earlier look."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(_CHECK_S, until - time.monotonic())
        if self._check is not None and not self._check.cancelled():
            if self._check.when() <= when:
                return
            self._check.cancel()
        self._check = loop.call_at(when, self._expire)

    def _expire(self) -> None:
        """Give back all messages whose deadline has passed."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
        now = time.monotonic()
        late = [number for number, held in self._held.items() if held.until <= now]
        replies = [self._held.pop(number).reply for number in late]
        self._lapsed.update(late)
        if replies and not self._lost.is_set():
            task = asyncio.create_task(self._give_back(replies))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._held:
            self._check_at(min(held.until for held in self._held.values()))

    async def _give_back(self, replies: list[str]) -> None:
        while not self._lost.is_set():
            try:
                await self._gateway.give_back(replies)
            except PiCloudError:
                await asyncio.sleep(_FILL_S)
            else:
                return

    # --- waiting ---

    def _lose(self) -> None:
        self._lost.set()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()

    async def _wait(self, timeout_s: float) -> None:
        # A task that waits already is woken by `set`, also if this is called before it goes on.
        self._changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)
