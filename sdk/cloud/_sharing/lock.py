"""Locks, semaphores and leaders: so many jobs and programs of an account at once."""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Final, Self

from picloud_model.wire.lock import MAX_LOCK_NAME, MAX_TOKENS, HeldLock

from cloud._arguments.option_values import real, whole
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._resources.lock import LockClient
from cloud._sharing.held_locks import HELD, HeldHere, renew
from cloud.errors import CloudException, CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from types import TracebackType

_NAME: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_LOCK_NAME}}}")
_FOREVER: Final = -1


class Semaphore:
    """A semaphore that jobs and programs of your account share: so many of them have it at once.

    Use it for what is limited: licences, connections, requests to a service. A job has it until it
    ends at the latest, a program until 6 seconds after its death. Then the next one gets it.

    Args:
        name: Up to 64 letters, digits, dots, hyphens and underscores. Locks, semaphores and leaders
            of one name are the same.
        tokens: How many have it at once, 1 to 1,000; the same number wherever it is used.

    Raises:
        CloudException: When the name or the number is not allowed.

    >>> def query(number):
    ...     with cloud.Semaphore("licences", 2):
    ...         return number * number
    >>> cloud.result(cloud.map(query, [1, 2, 3]))
    [1, 4, 9]
    """

    @of_users
    def __init__(self, name: str, tokens: int) -> None:
        self.name = checked_name(name)
        number = whole(tokens)
        if number is None or not 1 <= number <= MAX_TOKENS:
            raise CloudValueError(f"tokens is 1 to {MAX_TOKENS:,}, not {tokens!r:.80}.")
        self.tokens = number
        self._held: list[HeldHere] = []

    def __reduce__(self) -> tuple[Any, ...]:
        # A job gets one that it does not hold.
        return type(self), (self.name, self.tokens)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.tokens})"

    @of_users
    def acquire(self, blocking: bool = True, timeout: float = _FOREVER) -> bool:
        """Take it; wait until it is free, about in the order in which requests came.

        The waiting is one open request. A job that waits occupies its slot.

        Args:
            blocking: Whether to wait.
            timeout: The longest time to wait, in seconds; -1 for no limit.

        Returns:
            Whether it was taken.

        Raises:
            CloudException: When it is held with another number of tokens, or this thread holds the
                lock already.

        >>> lock = cloud.Lock("report")
        >>> lock.acquire(timeout=10)
        True
        >>> lock.release()
        """
        timeout_s = _timeout_s(blocking, timeout)
        self._refuse_twice()
        held = HeldHere(self.name, uuid.uuid4().hex, LockClient(client().transport))
        try:
            sent_at = time.monotonic()
            acquired = held.client.acquire(self.name, held.hold, self.tokens, timeout_s)
            if acquired is None:
                return False
            # A request that waited was answered when the lock was taken: later than it was sent.
            held.fence, held.held_s = acquired.fence, acquired.held_s
            if held.held_s and time.monotonic() - sent_at > 1:
                sent_at = time.monotonic()
                renew(held.client, [held])
            else:
                held.renewed(sent_at)
            HELD.add(held)
            self._held.append(held)
        except BaseException as error:
            if not isinstance(error, CloudException):  # Ctrl-C: it may have been taken
                with suppress(CloudException):
                    held.client.release(self.name, held.hold)
            raise
        return True

    @of_users
    def release(self) -> None:
        """Give it back, so that the next one gets it.

        Raises:
            CloudException: When this object does not hold it, or it was lost meanwhile: then
                another one may have had it, too.
        """
        held = self._mine()
        was_valid = held.is_valid
        self._held.remove(held)
        HELD.drop(held)
        if held.process == os.getpid():  # a forked process does not give back what its parent has
            held.client.release(self.name, held.hold)
        if not was_valid:
            raise self._lost()

    @property
    def held(self) -> bool:
        """Whether this object holds it, as far as is known without a request.

        A program that cannot reach the server, or was paused, for 6 seconds holds it no longer.
        """
        return bool(self._held) and self._mine().is_valid

    @property
    def fence(self) -> int:
        """The fence number of this holding; each later one of your account has a higher number.

        Store it with what you write under the lock: a write with a lower number than the last one
        is by a holder that has lost the lock, and is to be refused.

        >>> with cloud.Lock("report") as lock:
        ...     first = lock.fence
        >>> with cloud.Lock("report") as lock:
        ...     lock.fence > first
        True
        """
        return self._mine().fence

    @of_users
    def check(self) -> None:
        """Ask the server whether this object still holds it, before a step that matters.

        Raises:
            CloudException: When it does not: the program was paused, or cut off from the server,
                for more than 6 seconds, or the lock was broken.
        """
        held = self._mine()
        renew(held.client, [held])
        if not held.is_valid:
            raise self._lost()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.release()
            return
        with suppress(CloudException):  # the error of the block is the one to see
            self.release()

    def _mine(self) -> HeldHere:
        """Return the last holding of this thread, or else of another one that uses this object."""
        mine = [each for each in self._held if each.thread == threading.get_ident()]
        if not self._held:
            raise CloudException(f"{self!r} is not held here: acquire it first.")
        return (mine or self._held)[-1]

    def _lost(self) -> CloudException:
        return CloudException(
            f"{self!r} was lost while it was held here: it was not renewed for 6 seconds, or "
            "it was broken. Another job or program may hold it now.",
            code="lock.lost",
        )

    def _refuse_twice(self) -> None:
        """Refuse what would wait for itself."""


class Lock(Semaphore):
    """A lock that jobs and programs of your account share: one of them has it at a time.

    A job has it until it ends at the latest, a program until 6 seconds after its death. Then the
    next one gets it. Its methods are those of `cloud.Semaphore`.

    Args:
        name: Up to 64 letters, digits, dots, hyphens and underscores.

    Raises:
        CloudException: When the name is not allowed.

    >>> def add(line):
    ...     with cloud.Lock("log"):
    ...         text = cloud.bucket.getf("log").read() if cloud.bucket.exists("log") else b""
    ...         cloud.bucket.putf(text + line, "log")
    >>> jids = cloud.map(add, [b"one ", b"two "])
    >>> cloud.join(jids)
    >>> len(cloud.bucket.getf("log").read())
    8
    """

    @of_users
    def __init__(self, name: str) -> None:
        super().__init__(name, 1)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _refuse_twice(self) -> None:
        if HELD.find(self.name) is not None:
            raise CloudException(f"This thread holds {self!r} already: release it first.")


class Leader(Lock):
    """One of several equal jobs or programs that does what only one may do.

    It is a lock: the first one leads until it ends, and then another one.

    Args:
        name: Up to 64 letters, digits, dots, hyphens and underscores.

    >>> with cloud.Leader("scheduler") as leader:
    ...     print(leader.leads)
    True
    """

    @property
    def leads(self) -> bool:
        """Whether this object leads, as far as is known without a request."""
        return self.held


def holding_of(lock: Any) -> HeldLock | None:
    """Return which holding of a lock a request is to depend on; None for no lock.

    Raises:
        CloudException: When it is not held here, or not a lock.
    """
    if lock is None:
        return None
    if not isinstance(lock, Semaphore):
        raise CloudTypeError(f"lock must be a cloud.Lock that is held, not {lock!r:.80}.")
    held = lock._mine()  # noqa: SLF001 - of this module
    return HeldLock(held.name, held.hold)


def checked_name(name: Any, noun: str = "lock") -> str:
    """Return the name of a lock, or of another noun.

    Raises:
        CloudException: When it is not allowed.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CloudValueError(
            f"{name!r:.80} is not a valid name of a {noun}: use 1 to {MAX_LOCK_NAME} letters, "
            "digits, dots, hyphens and underscores."
        )
    return name


def _timeout_s(blocking: Any, timeout: Any) -> float:
    """Return how long to wait, by the arguments of `threading.Lock.acquire`."""
    seconds = real(timeout)
    if seconds is None or (seconds < 0 and seconds != _FOREVER):
        raise CloudTypeError(f"timeout must be seconds from 0, or -1, not {timeout!r:.80}.")
    if not blocking and seconds != _FOREVER:
        raise CloudValueError("A timeout goes with blocking=True only.")
    if not blocking:
        return 0.0
    return inf if seconds == _FOREVER else seconds
