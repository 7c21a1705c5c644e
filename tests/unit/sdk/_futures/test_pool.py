"""`cloud.Pool`: what it sends, and what is refused."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, CloudTypeError

if TYPE_CHECKING:
    from tests.unit.sdk.fake_server import FakeServer


pytestmark = pytest.mark.usefixtures("as_current")


def test_a_map_is_one_submit(server: FakeServer) -> None:
    """Each job has its chunk."""
    result = cloud.Pool(4, _label="x").map_async(abs, range(5), 2)

    assert server.batch().count == 3
    assert server.batch().options.label == "x"
    assert [args for args, _ in server.arguments()] == [
        (((0,), (1,)),), (((2,), (3,)),), (((4,),),)
    ]  # fmt: skip
    assert not result.ready()
    with pytest.raises(ValueError, match="not ended"):
        result.successful()
    with pytest.raises(multiprocessing.TimeoutError):
        result.get(0)
    result.wait(0)


def test_a_closed_pool_takes_no_functions(server: FakeServer) -> None:
    """Nor can one that is open be joined; leaving it kills what has not ended."""
    pool = cloud.Pool()
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    with pool:
        pool.apply_async(abs, (-1,))
    assert server.killed == [[(1, 1)]]
    for use in (pool.map, pool.imap, pool.starmap_async):
        with pytest.raises(ValueError, match="not running"):
            use(abs, [])


@pytest.mark.parametrize("wrong", [{"label": "x"}, {"_labl": "x"}, {"initializer": 7}])
def test_bad_arguments_are_refused(wrong: dict[str, Any]) -> None:
    """When the pool is made."""
    with pytest.raises((CloudException, CloudTypeError)) as caught:
        cloud.Pool(**wrong)

    assert len(caught.traceback) == 1


def test_a_misspelt_argument_is_guessed() -> None:
    """Those of the pool, and options without their underscore."""
    with pytest.raises(CloudTypeError, match=r"'proceses'; did you mean processes\?"):
        cloud.Pool(proceses=3)
    with pytest.raises(CloudTypeError, match=r"'label'; did you mean _label\?"):
        cloud.Pool(label="x")


def test_bad_chunks_are_refused() -> None:
    """Before anything is sent."""
    for size in (0, -1, "x"):
        with pytest.raises(ValueError, match="chunksize"):
            cloud.Pool().map(abs, [1], size)  # type: ignore[arg-type]
