"""`cloud.job`: functions that know the options of their jobs."""

from __future__ import annotations

import functools
import itertools
import operator
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar, overload

from msgspec.structs import replace

from cloud._arguments import signature_check
from cloud._arguments.iterables import check_iterables
from cloud._arguments.jids import check_owner
from cloud._arguments.names import nearest
from cloud._arguments.options import NAMES, split_options
from cloud._client.current import client
from cloud._config.border import LOCAL_CALL, of_users
from cloud._futures.larger_core import run_growing, waiting_options
from cloud._futures.retry_policy import read_policy, run_again
from cloud._futures.reuse import read_rule
from cloud._packing.packer import name_of
from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cloud._arguments.options import CallOptions
    from cloud._client.client import Client
    from cloud._futures.retry_policy import RetryPolicy
    from cloud._jobs.job import Job, Jobs

_OPTIONS: Final = NAMES | {"_retries", "_key", "_cache"}
P = ParamSpec("P")
T = TypeVar("T")


@overload
def job(func: Callable[P, T], /, **options: Any) -> JobFunction[P, T]: ...
@overload
def job(**options: Any) -> Callable[[Callable[P, T]], JobFunction[P, T]]: ...
@of_users
def job(func: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Decorate a function with the options of its jobs.

    It runs here when it is called, and has the methods `call`, `map` and `starmap`, which make
    jobs, and `local`. A job in their arguments, at any depth, arrives as its result.

    Args:
        func: The function; with options alone the decorator is still to be called with it.
        options: Those of `cloud.call`, without the underscore: `type`, `cores`, `env`, `label`,
            ...; `retries`, a `cloud.RetryPolicy` or how often to try again after an exception;
            `key`, text by which the same call made again is the same job; `cache`, for how long
            results count for later calls with the same arguments, as '30d'.

    Returns:
        The function, as a `JobFunction`; without it a decorator that makes it one.

    Raises:
        CloudException: When an option is unknown or invalid.

    >>> @cloud.job(label="squares")
    ... def square(x):
    ...     return x * x
    >>> square(3), square.call(3).result(), square.map([1, 2, 3]).result()
    (9, 9, [1, 4, 9])
    """
    for name in options:
        if f"_{name}" not in _OPTIONS:
            known = [each[1:] for each in _OPTIONS]
            raise CloudValueError(f"cloud.job has no option {name!r}{nearest(name, known)}")
    chosen = {f"_{name}": value for name, value in options.items()}
    _read(chosen, job)
    if func is not None:
        return JobFunction(func, chosen)
    return functools.partial(JobFunction, options=chosen)


class JobFunction(Generic[P, T]):
    """A function with the options of its jobs. To call it runs it here, as without a decorator.

    A job in the arguments of `call`, `map` and `starmap`, at any depth, arrives as its result: the
    new jobs begin when it is done.

    Args:
        func: The function.
        options: The options of its jobs, as for `cloud.call`.
    """

    __wrapped__: Callable[P, T]

    def __init__(self, func: Callable[P, T], options: dict[str, Any]) -> None:
        if not callable(func):
            raise CloudTypeError(
                f"cloud.job decorates a function, not {func!r:.80}; options are given by name."
            )
        functools.update_wrapper(self, func)
        self._options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function here; `local` is another name for that."""
        with LOCAL_CALL:
            return self.__wrapped__(*args, **kwargs)

    local = __call__

    @of_users
    def call(self, *args: Any, **kwargs: Any) -> Job:
        """Run the function as a job; return immediately.

        Args:
            args: Its positional arguments.
            kwargs: Its keyword arguments; names that begin with an underscore are options, which
                replace those of the decorator.

        Raises:
            CloudException: When the job cannot be sent, as for `cloud.call`.
            CloudTypeError: When the function does not take these arguments.

        >>> total = cloud.job(sum)
        >>> total.call([total.call([1, 2]), total.call([3, 4])]).result()
        10
        """
        used = client()
        func, kwargs, options = self._prepared(used, args, kwargs)
        return used.submit_call(func, args, kwargs, options)

    @of_users
    def map(self, *iterables: Iterable[Any], **kwargs: Any) -> Jobs:
        """Run the function once for each item of the iterables, each time as a job of its own.

        A job among the items is waited for by all of the new jobs.

        Args:
            iterables: Its positional arguments, item by item, as for `cloud.map`.
            kwargs: Keyword arguments for every job, and options, as for `call`.

        Raises:
            CloudException: When the jobs cannot be sent, as for `cloud.map`.
            CloudTypeError: When the function does not take these arguments.
        """
        used = client()
        check_iterables(iterables)
        func, kwargs, options = self._prepared(used, iterables, kwargs)
        return used.submit_map(func, iterables, kwargs, options)

    @of_users
    def starmap(self, items: Iterable[Iterable[Any]], **kwargs: Any) -> Jobs:
        """Run the function once for each tuple of arguments, each time as a job of its own.

        Args:
            items: Tuples of positional arguments, all of the same length.
            kwargs: Keyword arguments for every job, and options, as for `call`.

        Raises:
            CloudException: When the jobs cannot be sent, as for `cloud.map`.
            CloudTypeError: When the tuples differ in length, or the function does not take them.

        >>> cloud.job(pow).starmap([(2, 3), (3, 2)]).result()
        [8, 9]
        """
        return self.map(*_columns(items), **kwargs)

    def _prepared(
        self, used: Client, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Callable[..., Any], dict[str, Any], CallOptions]:
        """Return what a job runs, its keyword arguments, and its options."""
        func = self.__wrapped__
        options, policy, own = _read({**self._options, **kwargs}, func)
        for chosen in (self._options, kwargs):
            check_owner(chosen.get("_depends_on"), used)
        if policy is None:
            return func, own, options
        signature_check.check(func, args, own)
        options = replace(options, name=name_of(func))
        if not policy.grows:
            return functools.partial(run_again, policy, func), own, options
        grown = functools.partial(run_growing, policy, options.options, func)
        return grown, own, replace(options, options=waiting_options(options.options))

    def __get__(self, instance: object, owner: type | None = None) -> JobFunction[..., T]:
        """Return the function bound to an instance, where it is a method."""
        if instance is None:
            return self
        return JobFunction(MethodType(self.__wrapped__, instance), self._options)

    def __repr__(self) -> str:
        return f"<cloud.job {getattr(self.__wrapped__, '__qualname__', self.__wrapped__)}>"


def _read(
    options: dict[str, Any], func: Callable[..., Any]
) -> tuple[CallOptions, RetryPolicy | None, dict[str, Any]]:
    """Return the options of a job, its retries, and its other keyword arguments."""
    rest = dict(options)
    policy, rule = read_policy(rest.pop("_retries", None)), read_rule(func, rest)
    chosen, own = split_options(rest)
    if policy is not None and not chosen.options.restartable:
        raise CloudTypeError(
            "retries run a function again, which restartable=False forbids: leave one of them out."
        )
    return replace(chosen, jobs_as_values=True, reuse=rule), policy, own


def _columns(items: Iterable[Iterable[Any]]) -> list[Iterator[Any]]:
    """Return the iterators of the first, second, ... item of tuples, which read them together."""
    rows = map(tuple, items)
    first = next(rows, None)
    if first is None:
        return [iter(())]
    width = len(first)

    def checked() -> Iterator[tuple[Any, ...]]:
        for at, row in enumerate(itertools.chain([first], rows)):
            if len(row) != width:
                raise CloudTypeError(
                    f"The tuples of starmap must have the same length: item 0 has {width}, "
                    f"item {at} has {len(row)}."
                )
            yield row

    copies = itertools.tee(checked(), width)
    return [map(operator.itemgetter(at), rows) for at, rows in enumerate(copies)]
