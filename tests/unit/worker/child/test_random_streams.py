"""Random generators that all code of a process shares."""

from __future__ import annotations

import importlib
import os
import random
import sys
from typing import TYPE_CHECKING

import pytest
from picloud_model.wire import Options
from picloud_worker.child.import_watch import ImportWatch
from picloud_worker.child.random_streams import RandomStreams

from tests.unit.worker.jobs import pid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker

FAKE_NUMPY = """
state = None
def seed(words=None):
    global state
    state = words if words else ("system",)
"""
FAKE_TORCH = """
state = 67280421310721
def seed():
    global state
    state = "system"
def manual_seed(number):
    global state
    state = number
"""


@pytest.fixture
def libraries(tmp_path: Path) -> Iterator[None]:
    """Stand-ins for NumPy and PyTorch that can be imported and are not loaded yet."""
    saved = {name: sys.modules.pop(name, None) for name in ("numpy", "numpy.random", "torch")}
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").touch()
    (tmp_path / "numpy" / "random.py").write_text(FAKE_NUMPY)
    (tmp_path / "torch.py").write_text(FAKE_TORCH)
    sys.path.insert(0, str(tmp_path))
    finders = list(sys.meta_path)
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(tmp_path))
    sys.meta_path[:] = finders
    for name, module in saved.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


def watch(streams: RandomStreams) -> None:
    """Have them seed what is imported."""
    ImportWatch(lambda _: None, lambda _: None, streams.imported).install()


def test_a_stream_depends_on_the_seed_and_the_place_only() -> None:
    """The same seed and index give the same numbers, another of either gives others."""
    streams = RandomStreams()

    def draw(seed: int, index: int) -> tuple[int, float, int]:
        number = streams.follow(seed, index)
        return number, random.random(), random.randint(1, 10**9)

    first = draw(1, 0)

    assert draw(1, 0) == first
    assert len({first, draw(1, 1), draw(2, 0), draw(11, 0), draw(1, 10)}) == 5
    assert 0 <= first[0] < 2**63


def test_no_two_states_are_alike_without_a_seed() -> None:
    """After `diverge` nothing depends on what was seeded before."""
    streams = RandomStreams()
    drawn = set()
    for _ in range(3):
        streams.follow(1, 1)
        streams.diverge()
        drawn.add(random.random())

    assert len(drawn) == 3
    assert not streams.seeded


@pytest.mark.usefixtures("libraries")
def test_a_library_that_a_job_imports_is_seeded_at_its_import() -> None:
    """PyTorch begins each process with one and the same state, so this cannot wait for a job."""
    streams = RandomStreams()
    watch(streams)

    torch = importlib.import_module("torch")

    assert torch.state == "system"
    assert torch.__spec__.loader.get_source("torch") == FAKE_TORCH


@pytest.mark.usefixtures("libraries")
def test_loaded_libraries_follow_the_seed() -> None:
    """NumPy and PyTorch get a state of the stream, whether loaded before the job or in it."""
    streams = RandomStreams()
    watch(streams)
    streams.follow(5, 3)
    numpy, torch = importlib.import_module("numpy.random"), importlib.import_module("torch")
    imported = numpy.state, torch.state

    streams.diverge()
    apart = numpy.state, torch.state
    streams.follow(5, 3)

    assert imported == (numpy.state, torch.state)
    assert len(numpy.state) == 16
    assert all(0 <= word < 2**32 for word in numpy.state)
    assert 0 <= torch.state < 2**63
    assert apart == (("system",), "system")


def test_a_seeded_map_gives_the_same_numbers_whatever_child_runs_it(
    api: FakeApi, worker: Worker
) -> None:
    """Also in interpreters of their own, and whatever the jobs before have seeded."""

    def draw() -> tuple[float, str | None]:
        return random.random(), os.environ.get("PICLOUD_SEED")

    def results(options: Options) -> list[tuple[float, str | None]]:
        batch = api.submit(draw, [()] * 4, options=options)
        return [api.result(batch, index) for index in range(4)]

    together = results(Options(seed=9))
    unseeded = results(Options())
    apart = results(Options(seed=9, kill_process=True))

    assert together == apart
    assert len(set(together)) == 4
    assert len({number for number, _ in together + unseeded}) == 8
    assert {variable for _, variable in unseeded} == {None}


def test_jobs_never_begin_with_what_an_earlier_batch_seeded(api: FakeApi, worker: Worker) -> None:
    """A job that calls `random.seed` seeds itself, not the jobs of others after it."""

    def seed_and_draw() -> float:
        random.seed(1)
        return random.random()

    before = api.result(api.submit(pid))
    drawn = []
    for _ in range(3):
        api.result(api.submit(seed_and_draw))
        drawn.append(api.result(api.submit(_draw)))

    assert api.result(api.submit(pid)) == before
    assert len(set(drawn)) == 3


def _draw() -> float:
    return random.random()
