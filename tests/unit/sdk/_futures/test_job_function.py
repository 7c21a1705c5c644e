"""`cloud.job`: what it sends, and what is refused."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from tests.unit.sdk.fake_server import FakeServer


pytestmark = pytest.mark.usefixtures("as_current")


def total(*values: int) -> int:
    """Add values."""
    return sum(values)


def test_a_decorated_function_sends_what_a_call_does(server: FakeServer) -> None:
    """One request, with the options of the decorator and of the call; its name is its own."""
    decorated = cloud.job(type="c2", label="x", depends_on=None)(divmod)

    decorated.call(7, 2, _label="y")

    batch = server.batch()
    assert (batch.options.core_type, batch.options.label) == ("c2", "y")
    assert batch.function_name.endswith("divmod")
    assert batch.depends_on == []
    assert len(server.sent) == 1


def test_a_function_may_be_given_with_its_options(server: FakeServer) -> None:
    """`cloud.job(f, label="x")` is `cloud.job(label="x")(f)`; a wrong option is refused, too."""
    cloud.job(abs, label="x").call(-1)

    assert server.batch().options.label == "x"
    with pytest.raises(CloudValueError, match="no option 'lable'"):
        cloud.job(abs, lable="x")


def test_values_are_dependencies(server: FakeServer) -> None:
    """Also in containers and objects, together with those that the option names."""
    jobs = cloud.map(abs, range(5))
    single, other = cloud.call(abs, 1), cloud.call(abs, 2)
    server.batches.clear()

    cloud.job(total).call([single, {"a": jobs[1:3]}], jobs[4], _depends_on=other)

    assert server.batch().depends_on == [(2, 3), (5, 7)]


def test_values_in_cycles_are_dependencies(server: FakeServer) -> None:
    """A list that contains itself is sent as what it is."""
    jobs: list[Any] = [cloud.call(abs, 1), {"b": cloud.call(abs, 2)}]
    jobs.append(jobs)
    jobs[1]["all"] = jobs
    server.batches.clear()

    cloud.job(total).call(jobs)

    assert server.batch().depends_on == [(1, 2)]


def test_jobs_in_a_call_are_no_dependencies(server: FakeServer) -> None:
    """Unless `value` says so."""
    job = cloud.call(abs, 1)
    server.batches.clear()
    cloud.call(total, job)
    assert server.batch().depends_on == []
    server.batches.clear()
    cloud.call(total, job.value)
    assert server.batch().depends_on == [(1, 1)]


@pytest.mark.parametrize("wrong", [{"labl": "x"}, {"_label": "x"}, {"cores": 0}, {"retries": "x"}])
def test_bad_options_are_refused(wrong: dict[str, Any]) -> None:
    """Where the function is decorated."""
    with pytest.raises(CloudException):
        cloud.job(**wrong)


@pytest.mark.parametrize("name", ["labl", "_label"])
def test_a_misspelt_option_is_guessed(name: str) -> None:
    """The error has the name as `cloud.job` takes it, without an underscore."""
    with pytest.raises(CloudValueError, match=rf"no option '{name}'; did you mean label\?"):
        cloud.job(**{name: "x"})


def test_bad_calls_are_refused(server: FakeServer) -> None:
    """Before anything is sent."""
    with pytest.raises(CloudTypeError, match="decorates a function"):
        cloud.job("label")
    for retries in (None, 2):
        square = cloud.job(retries=retries)(lambda x: x * x)
        with pytest.raises(CloudTypeError, match="does not take these arguments"):
            square.call()
        with pytest.raises(CloudTypeError, match="does not take these arguments"):
            square.map([1], [2])
    with pytest.raises(CloudTypeError, match="item 0 has 1, item 1 has 2"):
        square.starmap([(1,), (1, 2)])
    with pytest.raises(CloudTypeError, match="iterable"):
        square.map(5)
    with pytest.raises(CloudTypeError, match="restartable"):
        cloud.job(retries=2, restartable=False)(total).call()
    assert server.sent == []


def test_methods_are_bound(server: FakeServer) -> None:
    """A decorated method takes its instance along."""

    class Adder:
        base = 1

        @cloud.job
        def add(self, other: int) -> int:
            return self.base + other

    assert Adder().add(2) == 3
    Adder().add.call(2)
    assert server.arguments() == [((2,), {})]
    assert repr(Adder.add) == f"<cloud.job {Adder.add.__qualname__}>"


def test_a_local_call_raises_with_the_frames_of_the_program() -> None:
    """As without the decorator; also where the arguments do not fit."""

    @cloud.job
    def divide(a: int, b: int) -> float:
        return a / b

    for arguments, frames in (((1, 0), ["divide"]), ((1,), [])):
        with pytest.raises((ZeroDivisionError, TypeError)) as caught:
            divide(*arguments)  # type: ignore[call-arg]
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[1:] == frames
