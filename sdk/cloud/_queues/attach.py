"""Attaching: from a handler and its options to the request that attaches it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.wire.attachment import (
    MAX_IN_FLIGHT,
    MAX_OUTPUTS,
    MAX_PARALLEL_JOBS,
    MAX_PER_SECOND,
    MAX_READERS,
    AttachmentInfo,
    AttachRequest,
)
from picloud_model.wire.queue import MAX_DELAY_S, MAX_MESSAGES

from cloud._arguments import signature_check
from cloud._arguments.options import split_options
from cloud._packing.packer import name_of
from cloud._queues import arguments
from cloud._queues.handler import HandlerRules
from cloud._queues.handler_loop import HandlerLoop
from cloud._resources.attachment import AttachmentClient
from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from cloud._client.client import Client
    from cloud._queues.arguments import Target

_MAX_RETRIES: Final = 1_000_000
_MAX_BATCH_WAIT_S: Final = 10.0
"""Below the time after which another job would get the messages."""
_OWN: Final = (
    "output_queues",
    "iter_output",
    "readers_per_job",
    "max_parallel_jobs",
    "max_per_second",
    "max_in_flight",
    "retry_on",
    "max_retries",
    "retry_delay",
    "on_error",
    "allow_cycle",
    "batch",
    "dedupe",
)


class AttachOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `CloudQueue.attach` takes besides the handler and the options of its jobs."""

    output_queues: Any = ()
    iter_output: bool = False
    readers_per_job: int = 1
    max_parallel_jobs: int = 1
    max_per_second: float | None = None
    max_in_flight: int | None = None
    retry_on: Any = ()
    max_retries: int | None = None
    retry_delay: float | None = None
    on_error: Any = None
    allow_cycle: bool = False
    batch: Any = None
    dedupe: bool = False


def attach(
    client: Client, queue: str, handler: Any, options: AttachOptions, kwargs: Mapping[str, Any]
) -> AttachmentInfo:
    """Attach a handler to a queue; see `CloudQueue.attach`."""
    # Old scripts write _max_parallel_jobs.
    own = {name[1:]: kwargs[name] for name in kwargs if name[1:] in _OWN and name[0] == "_"}
    options = msgspec.structs.replace(options, **own)
    rest = {name: value for name, value in kwargs.items() if name[1:] not in own}
    job_options, unknown = split_options(rest)
    for name in unknown:
        raise CloudTypeError(f"attach has no argument {name}.")
    if job_options.needs_submitter:
        raise CloudValueError(
            "The jobs of a handler start by themselves: leave out _depends_on and _callback."
        )
    rules = _rules(queue, handler, options)
    readers = arguments.count("readers_per_job", options.readers_per_job, 1, MAX_READERS)
    parallel = arguments.count("max_parallel_jobs", options.max_parallel_jobs, 1, MAX_PARALLEL_JOBS)
    attachment = uuid.uuid4().hex
    named = type(handler) if hasattr(handler, "message_handler") else handler
    name = getattr(handler, "handler_name", None) or name_of(named)
    loop = HandlerLoop(attachment, rules, readers)
    job = client.prepare_call(loop, msgspec.structs.replace(job_options, name=name))
    request = AttachRequest(
        queue=queue,
        job=msgspec.structs.replace(job, submit_id=attachment),
        outputs=_names(rules.outputs),
        errors=_names(rules.on_error.values()),
        max_parallel_jobs=parallel,
        readers_per_job=readers,
        max_per_second=per_second(options.max_per_second) or 0.0,
        max_in_flight=in_flight(options.max_in_flight) or 0,
        dedupe=rules.dedupe,
    )
    return AttachmentClient(client.transport).attach(request)


def per_second(value: Any) -> float | None:
    """Return a number of messages a second, 0 for any number; None is left as it is.

    Raises:
        CloudException: When it is not a number, or out of range.
    """
    if value is None:
        return None
    return arguments.number("max_per_second", value, 0, MAX_PER_SECOND)


def in_flight(value: Any) -> int | None:
    """Return a number of messages in flight, 0 for any number; None is left as it is.

    Raises:
        CloudException: When it is not a whole number, or out of range.
    """
    return None if value is None else arguments.count("max_in_flight", value, 0, MAX_IN_FLIGHT)


def _rules(queue: str, handler: Any, options: AttachOptions) -> HandlerRules:
    method = getattr(handler, "message_handler", handler)
    # Of a class with that method, an instance is meant.
    if not callable(method) or (isinstance(handler, type) and method is not handler):
        raise CloudTypeError(
            f"A handler is a function of a message, or an object with a method message_handler, "
            f"not {handler!r:.80}."
        )
    try:
        signature_check.check(method, (None,), {})
    except CloudTypeError as error:
        raise CloudTypeError(f"A handler gets one argument, the message: {error}") from None
    outputs = _outputs(options.output_queues)
    if not options.allow_cycle and queue in _names(outputs):
        raise CloudValueError(
            f"The handler of {queue!r} would push into its own queue; pass allow_cycle=True, or "
            "--allow-cycle on the command line, if it is to."
        )
    retry_on = arguments.exceptions("retry_on", options.retry_on)
    if retry_on and (options.max_retries is None or options.retry_delay is None):
        raise CloudValueError("retry_on needs max_retries and retry_delay, too.")
    size, wait_s = _batch(options.batch)
    return HandlerRules(
        queue=queue,
        message_handler=handler,
        outputs=outputs,
        iter_output=options.iter_output,
        retry_on=retry_on,
        max_retries=arguments.count("max_retries", options.max_retries or 0, 0, _MAX_RETRIES),
        retry_delay_s=arguments.seconds("retry_delay", options.retry_delay or 0, 0, MAX_DELAY_S),
        on_error=_on_error(options.on_error or {}),
        batch=size,
        batch_wait_s=wait_s,
        dedupe=bool(options.dedupe),
    )


def _batch(batch: Any) -> tuple[int, float]:
    """Return how many messages a batch has at most, 0 without one, and how long it is filled."""
    if batch is None:
        return 0, 0.0
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:  # noqa: PLR2004 - a pair
        raise CloudValueError(
            f"batch is a number of messages and of seconds, such as (64, 0.2), not {batch!r:.80}."
        )
    size = arguments.count("the size of a batch", batch[0], 1, MAX_MESSAGES)
    return size, arguments.seconds("the wait of a batch", batch[1], 0, _MAX_BATCH_WAIT_S)


def _outputs(output_queues: Any) -> tuple[Target, ...]:
    single = isinstance(output_queues, str) or hasattr(output_queues, "encoding")
    try:
        outputs = tuple(map(arguments.target, [output_queues] if single else output_queues))
    except TypeError as error:
        raise CloudTypeError(
            f"output_queues takes a queue or a list of queues, not {output_queues!r:.80}."
        ) from error
    if len(outputs) > MAX_OUTPUTS:
        raise CloudValueError(f"A handler has at most {MAX_OUTPUTS} output queues.")
    return outputs


def _on_error(on_error: Any) -> dict[type[BaseException], Target]:
    if not isinstance(on_error, Mapping):
        raise CloudTypeError(
            f"on_error takes a dict of classes of exceptions and queues, not {on_error!r:.80}."
        )
    targets = {}
    for kind, chosen in on_error.items():
        (checked,) = arguments.exceptions("on_error", kind)
        if isinstance(chosen, Mapping):
            if not {"queue"} <= chosen.keys() <= {"queue", "delay"}:
                raise CloudValueError(
                    "on_error takes {'queue': ...} or {'queue': ..., 'delay': ...} for each class, "
                    f"not {chosen!r:.80}."
                )
            targets[checked] = arguments.target(chosen["queue"], chosen.get("delay", 0))
        else:
            targets[checked] = arguments.target(chosen)
    return targets


def _names(targets: Any) -> list[str]:
    return list(dict.fromkeys(each.queue for each in targets))
