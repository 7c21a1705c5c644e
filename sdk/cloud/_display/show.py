"""Decides what a program shows while it waits for jobs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from picloud_model import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from cloud._config.configuration import Config
    from cloud._display.output import OutputSource
    from cloud._display.wait_display import OnProgress

    class JobSource(OutputSource, Protocol):
        """What the statuses and the output of jobs come from."""

        def batches(self, request: wire.BatchesRequest) -> wire.BatchesListed:
            """Return a page of batches with counts by status."""


_MOST_LISTED: Final = 10_000
"""Jobs whose statuses are requested one by one if they are not a whole map."""


class WaitWatch(Protocol):
    """Entered during each wait for some jobs, and closed after the last one."""

    def __enter__(self) -> OnProgress | None:
        """Return what is to be called after each reply, if anything.

        Its arguments are the numbers of ended jobs and of all, and the outcomes in the reply.
        """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End a wait."""

    def close(self) -> None:
        """Leave no trace."""


class Unwatched:
    """A watch that shows nothing."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        """Do nothing."""


def watch(client: JobSource, order: Sequence[int], config: Config, *, stream: bool) -> WaitWatch:
    """Return what shows waits, as far as settings and standard error allow it.

    Args:
        client: What the statuses and the output are requested from.
        order: The jids that are waited for.
        config: The settings.
        stream: Whether the output of the jobs is printed.
    """
    bar: Any = None
    if config.progress and len(order) > 1:
        from cloud._display.bar import bar as make_bar  # noqa: PLC0415 - single jobs need none

        bar = make_bar()
    streaming = stream and 0 < len(order) <= _MOST_LISTED
    if bar is None and not streaming:
        return Unwatched()
    from cloud._display.output import JobOutput  # noqa: PLC0415 - pipes do not need it
    from cloud._display.wait_display import WaitDisplay  # noqa: PLC0415

    output = JobOutput(order, client) if streaming else None
    return WaitDisplay(len(order), Counts(client, order).read, bar=bar, output=output)


class Counts:
    """Counts jobs by status, with one small request if they are a whole map."""

    def __init__(self, client: JobSource, order: Sequence[int]) -> None:
        self._client = client
        self._order = order
        self._whole = isinstance(order, range)

    def read(self) -> Mapping[str, int]:
        """Return the number of jobs by status; nothing if that would cost too much."""
        if self._whole:
            request = wire.BatchesRequest(before=self._order[-1] + 1, limit=1)
            for batch in self._client.batches(request).batches:
                if batch.jids == self._order:
                    return batch.statuses
            self._whole = False
        if len(self._order) > _MOST_LISTED:
            return {}
        return Counter(self._client.status(list(self._order)))
