"""`cloud.RetryPolicy`: functions that a job runs again after an exception."""

from __future__ import annotations

import random
import sys
import time
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, Literal

from cloud._arguments.option_values import real, whole
from cloud._config.border import of_users
from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DAY_S: Final = 86_400.0


class RetryPolicy:
    """Says how often a job runs its function, and how long it waits after an exception.

    The job keeps its slot meanwhile. `status` and `result` show how the last attempt ended; each
    earlier one is a line in the job's stderr. A slot that is lost uses up no attempt: the job
    begins with the first one on another slot.

    Args:
        attempts: How often the function runs at most, from 1.
        delay: Seconds from the first exception to the second attempt.
        factor: What each further delay is longer by, from 1.
        max_delay: The longest delay in seconds.
        jitter: Part of each delay that is random, from 0 to 1: jobs that failed together do not
            begin again together.
        on: The class of the exceptions after which it runs again, or a tuple of classes; after any
            other one the job fails at once.
        oom: "grow" to run a function that was out of memory again on the next larger core type,
            which uses up no attempt. The job waits for a job of its own that runs the function.

    Raises:
        CloudTypeError: When a value is out of range, or `on` are not classes of exceptions.
        CloudValueError: When `oom` is something else.

    >>> policy = cloud.RetryPolicy(4, delay=1, factor=3, max_delay=5, jitter=0)
    >>> list(policy.delays())
    [1.0, 3.0, 5.0]
    """

    @of_users
    def __init__(
        self,
        attempts: int,
        *,
        delay: float = 1.0,
        factor: float = 2.0,
        max_delay: float = 60.0,
        jitter: float = 0.1,
        on: type[Exception] | tuple[type[Exception], ...] = Exception,
        oom: Literal["grow"] | None = None,
    ) -> None:
        count = whole(attempts)
        if count is None or count < 1:
            raise CloudTypeError(f"attempts must be a whole number from 1, not {attempts!r:.80}.")
        self._attempts = count
        self._delay = _number("delay", delay, 0, _DAY_S)
        self._factor = _number("factor", factor, 1, 1000)
        self._max_delay = _number("max_delay", max_delay, 0, _DAY_S)
        self._jitter = _number("jitter", jitter, 0, 1)
        self._on = on if isinstance(on, tuple) else (on,)
        for kind in self._on:
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                raise CloudTypeError(f"on must be classes of exceptions, not {kind!r:.80}.")

        if oom not in ("grow", None):
            raise CloudValueError(f"oom must be 'grow' or None, not {oom!r:.80}.")
        self._grows = oom is not None

    @property
    def grows(self) -> bool:
        """Whether a function that was out of memory runs again on a larger core type."""
        return self._grows

    @property
    def attempts(self) -> int:
        """How often the function runs at most."""
        return self._attempts

    @property
    def on(self) -> tuple[type[Exception], ...]:
        """The classes of exceptions after which it runs again."""
        return self._on

    def delays(self) -> Iterator[float]:
        """Iterate over the seconds between the attempts."""
        delay = self._delay
        for _ in range(self._attempts - 1):
            delay = min(delay, self._max_delay)
            yield delay * (1 - self._jitter * random.random())  # noqa: S311 - no secret
            delay *= self._factor


def read_policy(value: Any) -> RetryPolicy | None:
    """Return the policy that `retries` means: a policy, a number of further attempts, or None.

    Raises:
        CloudTypeError: When it is none of these.
    """
    if value is None or isinstance(value, RetryPolicy):
        return value
    count = whole(value)
    if count is None or count < 0:
        raise CloudTypeError(
            "retries must be a cloud.RetryPolicy or a number of further attempts, "
            f"not {value!r:.80}."
        )
    return RetryPolicy(count + 1)


def run_again(policy: RetryPolicy, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Run a function in a job, again after exceptions as a policy says."""
    if iscoroutinefunction(func):
        return _await_again(policy, func, args, kwargs)
    for attempt, delay in enumerate(policy.delays(), 1):
        try:
            return func(*args, **kwargs)
        except policy.on as error:
            if policy.grows and isinstance(error, MemoryError):
                raise
            _note(error, attempt, policy.attempts, delay)
        time.sleep(delay)
    return func(*args, **kwargs)


async def _await_again(
    policy: RetryPolicy, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    import asyncio  # noqa: PLC0415 - it takes 50 ms, and few jobs use it

    for attempt, delay in enumerate(policy.delays(), 1):
        try:
            return await func(*args, **kwargs)
        except policy.on as error:
            if policy.grows and isinstance(error, MemoryError):
                raise
            _note(error, attempt, policy.attempts, delay)
        await asyncio.sleep(delay)
    return await func(*args, **kwargs)


def _note(error: Exception, attempt: int, attempts: int, delay: float) -> None:
    """Write to stderr that an attempt has failed."""
    name = type(error).__qualname__
    sys.stderr.write(
        f"picloud: attempt {attempt} of {attempts} failed with {name}: {error}; "
        f"the next one begins in {delay:.3g} s\n"
    )


def _number(name: str, value: Any, least: float, most: float) -> float:
    number = real(value)
    if number is None or not least <= number <= most:
        raise CloudTypeError(
            f"{name} must be a number from {least:g} to {most:,g}, not {value!r:.80}."
        )
    return number
