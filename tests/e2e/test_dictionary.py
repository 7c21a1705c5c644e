"""`cloud.Dict` and `picloud dict`, on every stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import cloud
import pytest
from cloud import CloudException, CloudTimeoutError

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited


@pytest.fixture
def name(client: Client) -> Iterator[str]:
    """The name of a dictionary."""
    with current_client(client):
        yield f"dict-{uuid4().hex[:12]}"


def test_it_is_a_dictionary(name: str) -> None:
    """With what a program expects of one."""
    shared = cloud.Dict(name)
    shared.update(b=2, a={"list": [1]})

    assert (list(shared), len(shared), "a" in shared, "c" in shared) == (["a", "b"], 2, True, False)
    assert shared.copy() == dict(shared.items()) == {"a": {"list": [1]}, "b": 2}
    assert [*shared.values()] == [{"list": [1]}, 2]
    assert (shared.get("c", 7), shared.setdefault("b", 0), shared.setdefault("c", 3)) == (7, 2, 3)
    assert (shared.pop("b"), shared.pop("b", "gone"), shared.popitem()) == (
        2, "gone", ("a", {"list": [1]}),
    )  # fmt: skip
    del shared["c"]
    for missing in (lambda: shared["c"], lambda: shared.pop("c"), shared.popitem):
        with pytest.raises(KeyError):
            missing()
    with pytest.raises(KeyError, match="c"):
        del shared["c"]
    assert (name in cloud.Dict.names(), shared == {}) == (False, True)


def test_jobs_change_it_together(name: str) -> None:
    """No change is lost, and a job that waits gets what another one stores."""

    def count(shared: cloud.Dict, number: int) -> None:
        shared.change("sum", lambda before: before + number, 0)

    shared = cloud.Dict(name)
    cloud.join([cloud.call(count, shared, number) for number in range(1, 5)])
    assert shared["sum"] == 10

    job = cloud.call(lambda: cloud.Dict(name).wait("go", timeout=60).value)
    shared["go"] = ("now", 1)
    assert job.result() == ("now", 1)
    with pytest.raises(CloudTimeoutError, match=r"'sum' of Dict.* did not change within 0\.1 s"):
        shared.wait("sum", shared.read("sum").version, timeout=0.1)
    shared.clear()


def test_versions_and_locks_refuse_stale_writers(name: str) -> None:
    """Nothing is stored, and the error says what to do."""
    shared = cloud.Dict(name)
    version = shared.set("state", "new", version=0)
    for change in (
        lambda: shared.set("state", "stale", version=0),
        lambda: shared.remove("state", version=version + 1),
    ):
        with pytest.raises(
            CloudException, match=rf"has version {version}, but .* was expected"
        ) as failed:
            change()
        assert failed.value.code == "dict.changed"

    lock = cloud.Lock(name)
    lock.acquire()
    shared.set("state", "held", lock=lock)
    cloud.lock.break_lock(name)
    with cloud.Lock(name + "2"), pytest.raises(CloudException, match="is no longer held by"):
        shared.set("state", "stale", lock=lock)
    for ended in (lock.check, lock.release):
        with pytest.raises(CloudException, match="was lost while it was held"):
            ended()
    assert shared["state"] == "held"
    shared.remove("state", version=shared.read("state").version)
    assert "state" not in shared


def test_dictionaries_from_the_shell(picloud: Callable[..., Exited], name: str) -> None:
    """Texts, and other values as JSON; an unknown key is an error in one line."""
    shared = cloud.Dict(name)
    shared["colour"] = "red"
    picloud("dict", "set", name, "depth", "[1, null]", "--parse")

    assert shared["depth"] == [1, None]
    listed = picloud("dict", "list", name, "--json")
    assert json.loads(listed.out) == {"colour": "red", "depth": [1, None]}
    unknown = picloud("dict", "get", name, "dpeth")
    assert (unknown.code, unknown.out) == (1, "")
    assert (
        unknown.err == f"error: The dictionary '{name}' has no key 'dpeth'; did you mean 'depth'?\n"
    )
    shared.clear()
    assert name not in cloud.Dict.names()
