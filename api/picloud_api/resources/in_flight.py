"""What is in flight: the requests that are not answered, and the bytes that they hold, by sender.

A request with a large body waits until there is room for it before the body is read, and the sender
waits with it. So neither one account nor all of them fill the memory of the server.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from picloud_model.errors import AccountBusy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import msgspec
    from falcon.asgi import Request, Response

COUNTED_BYTES: Final = 64 * 1024
"""Less than this is not counted."""
MOST_BYTES: Final = 320 * 1024 * 1024
"""Maximum number of bytes in flight of all senders."""
MOST_OF_ONE_BYTES: Final = 160 * 1024 * 1024
"""Maximum number of bytes in flight of one sender: the largest blob and some other requests."""
WAIT_S: Final = 10.0
"""How long a request waits for room."""


def account_of(sender: Any) -> str:
    """Return the account of a sender: of a client, a job or a slot."""
    pool = getattr(sender, "pool", None)
    return str(getattr(sender if pool is None else pool, "account", sender))


def sender_of(sender: Any) -> str:
    """Return the name under which a sender's requests are counted.

    Slots count apart from clients: they must report, whatever the clients of the account send.
    """
    account = account_of(sender)
    return account if getattr(sender, "pool", None) is None else f"{account} slots"


class Hold:
    """Bytes that are in memory for as long as this is referred to."""

    def __init__(self, counted: BytesInFlight, sender: str) -> None:
        self._counted = counted
        self.sender = sender
        self.size = 0

    def keep(self, size: int) -> None:
        """Count so many bytes from now on, if they are fewer."""
        if size < self.size:
            self._counted.release(self, self.size - size)

    def __del__(self) -> None:
        self._counted.release(self, self.size)


class BytesInFlight:
    """Counts the bytes in flight.

    Args:
        most: The bytes of all senders.
        most_of_one: The bytes of one sender.
        wait_s: How long to wait for room.

    >>> counted = BytesInFlight(100, 60)
    >>> hold = Hold(counted, "a")
    >>> asyncio.run(counted.add(hold, 50))
    >>> counted.total, counted.has_room("a", 20), counted.has_room("b", 50)
    (50, False, True)
    >>> del hold
    >>> counted.total
    0
    """

    def __init__(self, most: int, most_of_one: int, wait_s: float = WAIT_S) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._wait_s = wait_s
        self._by_sender: Counter[str] = Counter()
        self._waiting: deque[tuple[str, int, asyncio.Future[None]]] = deque()
        self.total = 0

    def has_room(self, sender: str, size: int) -> bool:
        """Whether a sender may have so many bytes more in flight."""
        own = self._by_sender[sender] + size
        return own <= self._most_of_one and self.total + size <= self._most

    async def add(self, hold: Hold, size: int) -> None:
        """Count bytes, once there is room for them.

        Raises:
            AccountBusy: When there was none for a while, or can never be.
        """
        if self.has_room(hold.sender, size):
            self._count(hold.sender, size)
        else:
            await self._wait_for_room(hold.sender, size)
        hold.size += size

    def _count(self, sender: str, size: int) -> None:
        self._by_sender[sender] += size
        self.total += size

    async def _wait_for_room(self, sender: str, size: int) -> None:
        future = asyncio.get_running_loop().create_future()
        waiting = (sender, size, future)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(self._wait_s):
                await future
        except BaseException as error:
            if not future.cancelled():
                self._release(sender, size)  # there was room in the same moment
            elif waiting in self._waiting:
                self._waiting.remove(waiting)
            if not isinstance(error, TimeoutError):
                raise
            raise AccountBusy(
                "Too many bytes of this account, or of this server, are under way: "
                "send large requests one after the other."
            ) from None

    def release(self, hold: Hold, size: int) -> None:
        """Forget bytes that were held, and let others in that wait for room."""
        if size:
            hold.size -= size
            self._release(hold.sender, size)

    def _release(self, sender: str, size: int) -> None:
        self.total -= size
        self._by_sender[sender] -= size
        if not self._by_sender[sender]:
            del self._by_sender[sender]
        for waiting in [*self._waiting]:
            sender, size, future = waiting
            if self.has_room(sender, size):
                self._waiting.remove(waiting)
                if not future.done():
                    self._count(sender, size)
                    future.set_result(None)


IN_FLIGHT: Final = BytesInFlight(MOST_BYTES, MOST_OF_ONE_BYTES)
"""The bytes in flight in this process."""


class SenderTurn(Protocol):
    """The turn of a sender's work, as an `async with` block or for a long list."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

    async def encode(self, value: msgspec.Struct, field: str, media: str) -> bytes:
        """Encode a value one of whose fields is a list, which may be long."""


class AccountTurns(Protocol):
    """Lets the long work of accounts take turns, and make way for the requests of others."""

    def of(self, account: str, /) -> SenderTurn:
        """Return the turn of some work for an account."""

    def note_request(self, account: str, /) -> None:
        """Note that an account has sent a request."""


class Trail(Protocol):
    """Records some requests in the audit log."""

    async def record(self, request: Request, values: Mapping[str, Any], /) -> None:
        """Record a request before it is carried out."""

    async def end(self, request: Request, /) -> None:
        """Record that a request that was recorded is refused, if it is."""


class RequestsInFlight:
    """Counts the requests of each account that are not answered; falcon calls it for each request.

    Args:
        most: The requests of one account.
        turns: The turns of accounts, for large bodies and long replies.
        trail: Records requests in the audit log. It has no calls of its own, which would take
            longer than all else that is done here.
    """

    def __init__(self, most: int, turns: AccountTurns, trail: Trail) -> None:
        self._most = most
        self._turns = turns
        self.trail = trail
        self._by_sender: Counter[str] = Counter()

    async def process_request(self, request: Request, _: Response) -> None:
        """Let `begin` be called once the sender is known."""
        request.context.in_flight = self

    def begin(self, request: Request) -> None:
        """Count a request.

        Raises:
            AccountBusy: When too many of its sender are not answered yet.
        """
        sender = sender_of(request.context.sender)
        if self._by_sender[sender] >= self._most:
            raise AccountBusy(
                f"{self._most:,} requests of this account are not answered yet, which is the most: "
                "send fewer at once."
            )
        self._by_sender[sender] += 1
        self._turns.note_request(account_of(request.context.sender))
        request.context.counted_sender = sender

    def turn(self, request: Request) -> SenderTurn:
        """Return the turn of a request's sender."""
        return self._turns.of(account_of(request.context.sender))

    async def process_response(
        self, request: Request, response: Response, resource: object, succeeded: bool
    ) -> None:
        """Forget a request that is answered."""
        del response, resource, succeeded
        if hasattr(request.context, "audited"):
            await self.trail.end(request)
        sender = getattr(request.context, "counted_sender", None)
        if sender is not None:
            self._by_sender[sender] -= 1
            if not self._by_sender[sender]:
                del self._by_sender[sender]
