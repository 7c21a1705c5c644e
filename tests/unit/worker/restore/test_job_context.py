"""What a job sets in context variables goes with it, what an import sets stays."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from picloud_model.wire import Manifest, Module, encode

if TYPE_CHECKING:
    from tests.unit.worker.conftest import Worker
    from tests.unit.worker.fake_api import FakeApi

LIBRARY = """
from contextvars import ContextVar
mode, other = ContextVar("mode", default="none"), ContextVar("other", default="none")
mode.set("of the library")
"""


def test_context_variables_of_a_job_go_with_it(api: FakeApi, worker: Worker) -> None:
    """The next job in the same interpreter finds what the import of a module has set."""

    def set_both() -> list[object]:
        import library_with_context as library  # type: ignore[import-not-found]

        found = library.mode.get()
        library.mode.set("of a job")
        library.other.set("of a job")
        return [os.getpid(), found, library.mode.get()]

    def read_both() -> list[object]:
        import library_with_context as library

        return [os.getpid(), library.mode.get(), library.other.get()]

    module = Module("library_with_context.py", api.store(LIBRARY.encode()))
    bundle = api.store(encode(Manifest([module])))
    process, *during = api.result(api.submit(set_both, bundle=bundle))
    after = api.result(api.submit(read_both, bundle=bundle))

    assert during == ["of the library", "of a job"]
    assert after == [process, "of the library", "none"]
