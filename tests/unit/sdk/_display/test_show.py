"""What is shown depends on settings, on the jobs, and on where standard error goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud._config.configuration import Config
from cloud._display.show import Counts, watch
from cloud._display.wait_display import WaitDisplay
from picloud_model import wire

from tests.unit.sdk._display.printing_jobs import PrintingJobs

if TYPE_CHECKING:
    from collections.abc import Sequence


class Server(PrintingJobs):
    """Has one map, of the jobs 1 to 4."""

    def __init__(self) -> None:
        super().__init__(1, 2, 3, 4)
        self.listed = 0

    def batches(self, request: wire.BatchesRequest) -> wire.BatchesListed:
        """Return the map if its jids are below `before`."""
        self.listed += 1
        batch = wire.ListedBatch(
            first=1,
            count=4,
            function_name="f",
            label=None,
            created_at=1.0,
            statuses={"done": 1, "queued": 3},
            started_at=0.0,
            finished_at=0.0,
        )
        found = request.before is None or request.before > 4
        return wire.BatchesListed(batches=[batch] if found else [])


@pytest.mark.parametrize(
    ("order", "stream", "watched"),
    [(range(1, 5), False, False), (range(1, 5), True, True), (range(0), True, False)],
)
def test_a_pipe_shows_output_only(order: range, stream: bool, watched: bool) -> None:
    """And only if there are jobs and it is wanted."""
    made = watch(Server(), order, Config(), stream=stream)

    assert isinstance(made, WaitDisplay) is watched


@pytest.mark.parametrize(
    ("order", "counts", "listed"),
    [
        (range(1, 5), {"done": 1, "queued": 3}, 2),
        (range(2, 5), {"queued": 3}, 1),
        ([4, 2], {"queued": 2}, 0),
    ],
)
def test_a_map_is_counted_by_one_request(
    order: Sequence[int], counts: dict[str, int], listed: int
) -> None:
    """Other jobs by their statuses."""
    server = Server()
    counter = Counts(server, order)

    assert [dict(counter.read()), dict(counter.read())] == [counts, counts]
    assert server.listed == listed


def test_long_lists_of_jobs_are_not_counted() -> None:
    """That would cost more than it is worth."""
    assert Counts(Server(), [*range(1, 20_001, 2), 2]).read() == {}
