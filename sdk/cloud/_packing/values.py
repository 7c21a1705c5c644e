"""Results of jobs as arguments of others: noted where they are pickled, read in the job."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from picloud_model import ranges

from cloud.errors import CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_model.ranges import Range


class Needs:
    """What the arguments of a batch need besides themselves; it grows while they are pickled.

    Args:
        jobs_as_values: Whether each job among the arguments stands for its result.

        arrays: Returns how a large array is pickled, if it does not travel with each job.

    Attributes:
        modules: The names of modules.
        jobs: The jobs whose results arrive in place of values.
    """

    __slots__ = ("arrays", "jobs", "jobs_as_values", "modules")

    def __init__(
        self, *, jobs_as_values: bool = False, arrays: Callable[[Any], Any] | None = None
    ) -> None:
        self.jobs_as_values = jobs_as_values
        self.arrays = arrays
        self.modules: set[str] = set()
        self.jobs: list[Any] = []


class _Pickling(threading.local):
    """The needs of what this thread is pickling for a job."""

    needs: Needs | None = None


PICKLING = _Pickling()


class JobValue:
    """Stands for the result of a job, or of the jobs of a map, in the arguments of another job.

    Args:
        jobs: The job, or the jobs of a map.
    """

    __slots__ = ("_jobs",)

    def __init__(self, jobs: Any) -> None:
        self._jobs = jobs

    def __repr__(self) -> str:
        return f"{self._jobs!r}.value"

    def __reduce__(self) -> tuple[Any, ...]:
        raise CloudTypeError(
            f"{self!r} stands for a result in the arguments of a job, and cannot be pickled for "
            "anything else, nor with _fast_serialization=2."
        )

    def __picloud_argument__(self) -> tuple[Any, ...]:
        """Reduce it for the job that it is an argument of, which begins when these have ended."""
        needs = PICKLING.needs
        return self.__reduce__() if needs is None else value_reduced(self._jobs, needs)


def value_reduced(jobs: Any, needs: Needs) -> tuple[Any, ...]:
    """Return the reduction of jobs to their results, and note that they are needed."""
    needs.jobs.append(jobs)
    if isinstance(jobs, int):
        return arrived, (int(jobs),)
    return all_arrived, (jobs.range,)


class WithValues:
    """Arguments that begin with an order to read the results that they need, all in one request.

    Args:
        jobs: The jobs, as they were noted.
        pair: The arguments.
    """

    def __init__(self, jobs: Sequence[Any], pair: Any) -> None:
        singles = {int(each) for each in jobs if isinstance(each, int)}
        maps = [each.range for each in jobs if not isinstance(each, int) and each.range]
        whole = [(span.start, span.stop - 1) for span in maps]
        self._spans = ranges.merged([*ranges.collapse(singles), *whole])
        self._pair = pair

    def __reduce__(self) -> tuple[Any, ...]:
        return complete, (_Reading(self._spans), self._pair)


class _Reading:
    """Is unpickled by reading results."""

    def __init__(self, spans: Sequence[Range]) -> None:
        self._spans = spans

    def __reduce__(self) -> tuple[Any, ...]:
        return read, (self._spans,)


class Results(threading.local):
    """The results for the arguments that this thread unpickles, by jid."""

    of: ClassVar[Callable[[list[int]], list[Any]]]
    """Returns the results of jobs."""
    by_jid: dict[int, Any]


_RESULTS = Results()


def read(spans: Sequence[Range]) -> None:
    """Read the results of jobs, for the arguments that follow."""
    from picloud_pickle.results.handed_over import HANDED_OVER  # noqa: PLC0415 - for jobs only

    jids = list(ranges.expand(spans))
    values = HANDED_OVER.values(jids)
    if values is None:
        values = Results.of(jids)
    _RESULTS.by_jid = dict(zip(jids, values, strict=True))


def arrived(jid: int) -> Any:
    """Return the result of a job, which has been read."""
    return _RESULTS.by_jid[jid]


def all_arrived(jids: range) -> list[Any]:
    """Return the results of the jobs of a map, which have been read."""
    return [_RESULTS.by_jid[jid] for jid in jids]


def complete(_: None, pair: Any) -> Any:
    """Return arguments; the results that were read for them are not kept."""
    del _RESULTS.by_jid
    return pair
