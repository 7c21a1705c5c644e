"""Jids that know which client made their jobs: the bases of `Job` and `Jobs`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, overload

from cloud._config.configuration import FromCaller, config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from picloud_model.wire import JobInfo

    from cloud._http.transport import ServerAddress
    from cloud.errors import CloudException


class ValueStream(Iterator[Any], AsyncIterator[Any]):
    """Values that a job yields, for `for` and `async for`."""


class Owner(Protocol):
    """The client that made a job."""

    @property
    def address(self) -> ServerAddress:
        """The server, and the API key for it."""

    def has_key(self, key_id: str) -> bool:
        """Return whether its account has an API key; the server is asked once about each."""


class JobOwner(Owner, Protocol):
    """What a job needs of the client that made it."""

    @property
    def raises_original(self) -> bool:
        """Whether methods of jobs raise what the job's function raised."""

    def ready(self) -> JobOwner:
        """Return the client; in a job, with the token of the job that runs now."""

    def result(
        self,
        jids: Any,
        timeout: float | None = None,
        *,
        return_exceptions: bool = False,
        original: bool | None = None,
        show: bool = False,
    ) -> Any:
        """Wait for the results of jobs."""

    def status(self, jids: Any) -> Any:
        """Return the status of jobs."""

    def info(self, jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
        """Return what is known about jobs."""

    def kill(self, jids: Any = None) -> int:
        """Abort jobs."""

    def follow(self, jid: int, since: Mapping[str, int]) -> JobInfo:
        """Return the status of a job and what it wrote since."""

    def stream(self, jid: int, start: int = 0, timeout: float | None = None) -> ValueStream:
        """Iterate over the values that a job yields."""

    def when_ended(self, jid: int, settle: Callable[[Any, CloudException | None], None]) -> None:
        """Call `settle` with the result or the error of a job when it ends, in another thread."""


class OwnedJid(int):
    """A jid that knows its client; to everything else it is the number.

    `owner` belongs to the class: each client has a class of its own, so that a jid is no larger
    than a number.
    """

    owner: Any = None


class OwnedJids(Sequence[OwnedJid]):
    """Consecutive jids of one client, which take no memory; equal to the range of the same jids.

    Args:
        span: The jids, as a range with step 1.
        kind: What each jid is.
    """

    __slots__ = ("_kind", "_span")

    def __init__(self, span: range, kind: type[OwnedJid]) -> None:
        self._span = span
        self._kind = kind

    @property
    def owner(self) -> Any:
        """The client; None for jids of the client that is in use."""
        return self._kind.owner

    @property
    def range(self) -> range:
        """The jids as numbers."""
        return self._span

    @property
    def start(self) -> int:
        """The first jid."""
        return self._span.start

    @property
    def stop(self) -> int:
        """The jid after the last one."""
        return self._span.stop

    @property
    def step(self) -> int:
        """1, as of a range."""
        return self._span.step

    def __len__(self) -> int:
        return len(self._span)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Any: ...
    def __getitem__(self, index: int | slice) -> Any:
        if not isinstance(index, slice):
            try:
                return self._kind(self._span[index])
            except IndexError:
                with FromCaller(config):
                    raise IndexError(f"there are {len(self)} jobs, numbered from 0") from None
        part = self._span[index]
        return type(self)(part, self._kind) if part.step == 1 else [self._kind(j) for j in part]

    def __iter__(self) -> Any:
        return map(self._kind, self._span)

    def __reversed__(self) -> Any:
        return map(self._kind, reversed(self._span))

    def __contains__(self, jid: object) -> bool:
        return jid in self._span

    def index(self, value: Any, *bounds: Any) -> int:
        """Return the position of a jid; bounds are those of `list.index`."""
        return super().index(value, *bounds) if bounds else self._span.index(value)

    def count(self, value: Any) -> int:
        """Return 1 if a jid is among these, else 0."""
        return self._span.count(value)

    def __eq__(self, other: object) -> bool:
        return self._span == (other._span if isinstance(other, OwnedJids) else other)

    def __hash__(self) -> int:
        return hash(self._span)
