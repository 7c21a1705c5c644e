"""`key` and `cache`: what is sent, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException

if TYPE_CHECKING:
    from picloud_model.wire import Reuse

    from tests.unit.sdk.fake_server import FakeServer


pytestmark = pytest.mark.usefixtures("as_current")


def sent(server: FakeServer) -> Reuse | None:
    """Return what the last batch says, and forget it."""
    return server.batches.popitem()[1].reuse


def test_a_key_names_a_function_and_its_arguments(server: FakeServer) -> None:
    """Options do not count."""
    divide = cloud.job(key="k")(divmod)
    divide.call(7, 2)
    first = sent(server)
    divide.call(7, 2, _label="x")
    assert sent(server) == first
    divide.call(7, 3)
    other = sent(server)
    divide.call(7, 2, _key="l")
    another = sent(server)

    assert first is not None
    assert other is not None
    assert another is not None
    assert (first.name == other.name, first.content == other.content) == (True, False)
    assert (first.name == another.name, first.done_only, first.kept_s) == (False, False, 2592000)


def test_a_cache_names_what_results_depend_on(server: FakeServer) -> None:
    """The function, its arguments, the environment and the core type."""
    names = set()
    for func, args, options in (
        (divmod, (7, 2), {}),
        (pow, (7, 2), {}),
        (divmod, (7, 3), {}),
        (divmod, (7, 2), {"_env": "x"}),
        (divmod, (7, 2), {"_type": "c2"}),
    ):
        cloud.job(cache="12h")(func).call(*args, **options)
        reuse = sent(server)
        assert reuse is not None
        assert (reuse.kept_s, reuse.done_only) == (43200, True)
        names.add(reuse.name)

    assert len(names) == 5
    cloud.job(cache=60)(divmod).map([7] * 3, [2] * 3)
    assert sent(server) is not None
    cloud.job(divmod).call(7, 2)
    assert sent(server) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""}, {"key": 7}, {"key": "x" * 1001}, {"cache": "30"}, {"cache": "1y"},
        {"cache": 0}, {"cache": True}, {"cache": "400d"}, {"cache": "1d", "key": "x"},
    ],
)  # fmt: skip
def test_bad_values_are_refused(wrong: dict[str, Any]) -> None:
    """Where the function is decorated."""
    with pytest.raises(CloudException):
        cloud.job(**wrong)
