"""Names that notebooks have without an import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire import unpack_info

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


def test_functions_of_a_notebook_may_display(api: FakeApi, worker: Worker) -> None:
    """What they show is in the output of the job, as text."""

    def show() -> None:
        display({"a": 1}, "text", metadata={})  # type: ignore[name-defined]  # noqa: F821

    batch = api.submit(show)
    assert api.result(batch) is None
    info = api.outcome(batch).info

    assert info is not None
    assert info.data is not None
    assert unpack_info(info.data).streams["stdout"].data == b"{'a': 1}\n'text'\n"
