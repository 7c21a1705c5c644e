"""What a handler raises to have its message handled again, and when that was done often enough."""

from __future__ import annotations

from typing import Any


class Retry(Exception):
    """Raised by a handler: handle the message again later.

    Args:
        delay: Seconds until then, up to a year.
        max_retries: How often at most; after that the message failed with `MaxRetryException`.
        message: Why, for `MaxRetryException`.
        inner_excp_value: The exception that is the reason.
        traceback_info: Its traceback.
        kwargs: Accepted for old scripts, without effect.

    >>> retry = cloud.queue.Retry(60, 3, "the site does not respond")
    >>> retry.delay, retry.max_retries
    (60, 3)
    """

    def __init__(
        self,
        delay: float,
        max_retries: int,
        message: str = "",
        inner_excp_value: BaseException | None = None,
        traceback_info: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(message or f"handle the message again in {delay} s")
        self.delay = delay
        self.max_retries = max_retries
        self.message = message
        self.inner_excp_value = inner_excp_value
        self.traceback_info = traceback_info
        del kwargs

    def __reduce__(self) -> tuple[type[Retry], tuple[Any, ...]]:
        return type(self), (self.delay, self.max_retries, self.message, self.inner_excp_value)


class MaxRetryException(Exception):
    """A handler raised `Retry`, and its message was handled as often as that allows.

    Args:
        message: What happened.
        queue: The name of the queue that the handler is attached to.
    """

    def __init__(self, message: str, queue: str = "") -> None:
        super().__init__(message)
        self._queue = queue

    def __reduce__(self) -> tuple[type[MaxRetryException], tuple[str, str]]:
        return type(self), (str(self), self._queue)

    def attachment(self) -> str:
        """Return the name of the queue that the handler is attached to."""
        return self._queue
