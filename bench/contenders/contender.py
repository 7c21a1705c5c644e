"""What every contender can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager


class Service(NamedTuple):
    """Where a published function is called: by POST, with a user name and a password if any."""

    url: str
    login: str = ""


class Contender(ABC):
    """Something that runs functions elsewhere, on two slots.

    Each is used the way its own documentation recommends for speed.

    Attributes:
        lacks: Rows that mean nothing here, each with the reason.
        has: "calls" of any function, which can be waited for later; "queues" of messages that
            handlers wait for; "services", if it gives functions a URL; an "executor", whose `map`
            has a chunksize; "joblib", if it has a backend for that.
    """

    lacks: ClassVar[dict[str, str]] = {}
    has: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def start(self) -> None:
        """Get it ready to take work; slots may still be cold."""

    def submit(self, function: Callable[..., Any], argument: Any) -> Any:
        """Begin one call; return what stands for its result."""
        raise NotImplementedError

    def gather(self, submitted: Sequence[Any]) -> list[Any]:
        """Wait for the results of calls, in order."""
        raise NotImplementedError

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        """Run one call and wait for its result."""
        return self.gather([self.submit(function, argument)])[0]

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        """Run one call for each argument and wait for all results, in order."""
        return self.gather([self.submit(function, argument) for argument in arguments])

    def chain(self, function: Callable[..., Any], steps: int) -> Any:
        """Run calls of which each has the result of the one before as argument, the first has 0."""
        result: Any = 0
        for _ in range(steps):
            result = self.submit(function, result)
        return self.gather([result])[0]

    def nest(self, outer: int, inner: int) -> int:
        """Run jobs that each map a few and wait for them; return how many were mapped."""
        raise NotImplementedError

    def share(self, function: Callable[..., Any], argument: Any, jobs: int) -> list[Any]:
        """Run that many calls with the same large argument, by special means if there are any."""
        return self.map(function, [argument] * jobs)

    def pass_messages(self, messages: Sequence[Any]) -> list[Any]:
        """Push messages to a handler that does nothing; return what comes out, in any order."""
        from bench.measures import identity

        return self.map(identity, messages)

    def publish(self, function: Callable[[], Any]) -> Service:
        """Give a function a URL, with slots or replicas that are warm."""
        raise NotImplementedError

    def executor(self) -> AbstractContextManager[Any]:
        """Return what has `map(function, items, chunksize=...)`."""
        raise NotImplementedError

    def joblib_backend(self) -> AbstractContextManager[Any]:
        """Have joblib run its tasks here."""
        raise NotImplementedError

    @abstractmethod
    def stop(self) -> None:
        """End everything it started."""

    def server_pids(self) -> list[int]:
        """Return the processes that hold queued work apart from the client; none for a library."""
        return []
