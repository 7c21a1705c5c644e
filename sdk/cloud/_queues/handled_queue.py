"""A queue with a handler: attaching, detaching and changing it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

from cloud._client.current import client
from cloud._config.border import of_users
from cloud._queues import arguments
from cloud._resources.queue import QueueClient
from cloud.errors import CloudTimeoutError

if TYPE_CHECKING:
    from cloud._resources.attachment import AttachmentClient

_LOOK_EVERY_S: Final = 0.2
_CALM_LOOKS: Final = 2
"""How often in a row a queue is to be found empty: between two looks a message may be handled
again."""


class HandledQueue:
    """What a queue can do with its handler; a base of `CloudQueue`.

    The jobs of a handler start when messages wait, and end when none has come for 20 s. A message
    is removed once what was made of it was pushed; if its job is killed first, it is handled again.

    >>> numbers, bigger = cloud.queue.get("numbers"), cloud.queue.get("bigger-numbers")
    >>> numbers.attach(lambda x: x + 1, bigger)
    >>> numbers.push([1]); bigger.pop(timeout=60)
    [2]
    >>> numbers.detach()
    """

    name: str
    encoding: str

    @of_users
    def attach(
        self,
        message_handler: Any,
        output_queues: Any = (),
        iter_output: bool = False,
        readers_per_job: int = 1,
        *,
        max_parallel_jobs: int = 1,
        max_per_second: float | None = None,
        max_in_flight: int | None = None,
        retry_on: Any = (),
        max_retries: int | None = None,
        retry_delay: float | None = None,
        on_error: Any = None,
        allow_cycle: bool = False,
        batch: tuple[int, float] | None = None,
        dedupe: bool = False,
        **kwargs: Any,
    ) -> None:
        """Attach a handler, or replace it: jobs call it with messages, and push what it returns.

        Args:
            message_handler: A function of one message, or an object with a method of that name,
                and with `pre_handling` and `post_handling`, if each job is to call these once.
            output_queues: Up to 50 queues that get each returned value, unless it is None.
            iter_output: Push each item of a returned iterable.
            readers_per_job: How many messages a job handles at the same time, in threads; 1 to 128.
            max_parallel_jobs: How many jobs run at the same time, if messages wait; 1 to 1,000.
            max_per_second: How many messages all jobs together begin with in a second.
            max_in_flight: How many messages all jobs together have at the same time.
            retry_on: A class of exceptions or several: a message that raised one is handled again,
            max_retries: so many times,
            retry_delay: each time so many seconds later.
            on_error: The queue for failures of each class: `{OSError: {"queue": q, "delay": 60}}`.
                Without one a failure is printed, and the message is handled again 30 s later.
            allow_cycle: Allow the handler to push into its own queue.
            batch: Pass lists: of up to 64 messages that came within 0.2 s if it is `(64, 0.2)`.
            dedupe: Push what it makes of a message once, even if it handles the message twice.
            kwargs: Options of the jobs, as for `cloud.call`.
        """
        _attach(
            self.name,
            message_handler,
            kwargs,
            output_queues=output_queues,
            iter_output=iter_output,
            readers_per_job=readers_per_job,
            max_parallel_jobs=max_parallel_jobs,
            max_per_second=max_per_second,
            max_in_flight=max_in_flight,
            retry_on=retry_on,
            max_retries=max_retries,
            retry_delay=retry_delay,
            on_error=on_error,
            allow_cycle=allow_cycle,
            batch=batch,
            dedupe=dedupe,
        )

    @of_users
    def detach(self) -> None:
        """Detach the handler, if there is one; its jobs finish the messages that they have."""
        attachments().detach(self.name)

    @of_users
    def retry(self) -> int:
        """Put each message of a queue of errors back into the queue in which it failed.

        Returns:
            How many these were.

        Raises:
            CloudException: When a message is not one that a handler pushed after a failure.
        """
        from cloud._queues.failed_messages import retry  # noqa: PLC0415 - few scripts

        return retry(client(), self.name, self.encoding)

    @of_users
    def pause(self) -> None:
        """Let the jobs of the handler receive nothing until `resume`; they finish what they have.

        Messages can be pushed and popped meanwhile. It lasts until the handler is detached, also if
        another one is attached in its place.

        Raises:
            CloudException: When no handler is attached; the next two methods raise it then, too.

        >>> numbers = cloud.queue.get("numbers")
        >>> numbers.attach(lambda x: x + 1)
        >>> numbers.pause()
        >>> numbers.info()["attachment"]["paused"]
        True
        >>> numbers.resume()
        >>> numbers.detach()
        """
        _update(self.name, paused=True)

    @of_users
    def resume(self) -> None:
        """Let the handler go on after `pause`."""
        _update(self.name, paused=False)

    @of_users
    def limit(
        self,
        max_parallel_jobs: int | None = None,
        *,
        max_per_second: float | None = None,
        max_in_flight: int | None = None,
    ) -> None:
        """Change the limits of the handler while it works; what is None stays as it is.

        If it has more jobs, the newest finish the messages that they have, and end. Another handler
        that is attached in its place has limits of its own.

        Args:
            max_parallel_jobs: How many jobs run at the same time, if messages wait; 1 to 1,000.
            max_per_second: How many messages all jobs together begin with in a second, up to
                1,000,000; 0 for any number.
            max_in_flight: How many messages all jobs together have at the same time, up to
                1,000,000; 0 for any number. Those that programs have popped with tickets count.
        """
        from picloud_model.wire.attachment import MAX_PARALLEL_JOBS  # noqa: PLC0415 - few scripts

        from cloud._queues.attach import in_flight, per_second  # noqa: PLC0415 - few scripts

        jobs = max_parallel_jobs
        if jobs is not None:
            jobs = arguments.count("max_parallel_jobs", jobs, 1, MAX_PARALLEL_JOBS)
        _update(
            self.name,
            max_parallel_jobs=jobs,
            max_per_second=per_second(max_per_second),
            max_in_flight=in_flight(max_in_flight),
        )

    @of_users
    def drain(self, timeout: float = math.inf) -> None:
        """Wait until all messages have been handled: none is ready, delayed or in flight.

        Args:
            timeout: The most seconds to wait.

        Raises:
            CloudTimeoutError: When messages are left then; says how many.
        """
        end = time.monotonic() + arguments.seconds("timeout", timeout, 0, math.inf)
        empty = 0
        while True:
            info = QueueClient(client().transport).info(self.name)
            left = info.ready + info.delayed + info.in_flight
            empty = 0 if left else empty + 1
            if empty == _CALM_LOOKS:
                return
            if time.monotonic() >= end and left:
                raise CloudTimeoutError(f"The queue {self.name!r} still has {left:,} messages.")
            time.sleep(_LOOK_EVERY_S)


def _attach(queue: str, handler: Any, kwargs: dict[str, Any], **options: Any) -> None:
    from cloud._queues.attach import AttachOptions, attach  # noqa: PLC0415 - few scripts

    attach(client(), queue, handler, AttachOptions(**options), kwargs)


def attachments() -> AttachmentClient:
    """Return the client of the attachments of this account."""
    from cloud._resources.attachment import AttachmentClient  # noqa: PLC0415 - few scripts

    return AttachmentClient(client().transport)


def _update(queue: str, **changed: Any) -> None:
    from picloud_model.wire.attachment import UpdateAttachmentRequest  # noqa: PLC0415 - few scripts

    attachments().update(UpdateAttachmentRequest(queue=queue, **changed))
