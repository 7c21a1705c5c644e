"""`cloud.stream`: generators that run as jobs, whose values arrive while they run."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from cloud._arguments import signature_check
from cloud._arguments.options import split_options
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._futures.stream_writer import StreamWriter
from cloud._packing.packer import name_of
from cloud.errors import CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from cloud._jobs.stream import JobStream


@of_users
def stream(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> JobStream:
    """Run a generator as a job; iterate over its values while it runs.

    The job waits when it is 1 MiB ahead of its reader. The values are stored until they are read:
    `cloud.Job(jid).stream(position)` reads on, in any program. If the job runs again because its
    machine was lost, the values that it has yielded before are left out, so the function is to
    yield the same values each time.

    Args:
        func: A generator function, an `async def` with `yield`, or a function that returns an
            iterable.
        args: Its positional arguments.
        kwargs: Its keyword arguments. Names that begin with an underscore are options, as for
            `cloud.call`.

    Returns:
        An iterator over the values, with the attributes `job`, whose result is what the generator
        returned, and `position`. At the end it raises what the function raised.

    Raises:
        CloudException: When the job cannot be sent, as for `cloud.call`.
        CloudTypeError: When the function does not take these arguments.

    >>> def squares(count):
    ...     for number in range(count):
    ...         yield number * number
    >>> for value in cloud.stream(squares, 3):
    ...     print(value)
    0
    1
    4
    """
    used = client()
    options, own = split_options(kwargs)
    signature_check.check_callable(func)
    signature_check.check(func, args, own)
    options = replace(options, name=options.name or name_of(func))
    job = used.submit_call(functools.partial(yield_values, func), args, own, options)
    return used.stream(int(job))


def yield_values(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Run a generator in a job; add its values to the job's stream, and return what it returns."""
    values = func(*args, **kwargs)
    if isinstance(values, AsyncIterable):
        values = _awaited(values)
    elif not isinstance(values, Iterable):
        raise CloudTypeError(
            f"{name_of(func)} returned {values!r:.80}, which has no values to stream: use `yield`, "
            "or return an iterable."
        )
    returned = None

    def each() -> Generator[Any, None, None]:
        nonlocal returned
        returned = yield from values

    with StreamWriter(client()) as writer:
        for value in each():
            writer.add(value)
    return returned


def _awaited(values: AsyncIterable[Any]) -> Iterator[Any]:
    """Yield the values of an asynchronous iterable, one at a time."""
    import asyncio  # noqa: PLC0415 - it takes 50 ms, and few jobs use it

    iterator = aiter(values)

    async def following() -> Any:
        return await anext(iterator)

    with asyncio.Runner() as runner:
        while True:
            try:
                value = runner.run(following())
            except StopAsyncIteration:
                return
            yield value
