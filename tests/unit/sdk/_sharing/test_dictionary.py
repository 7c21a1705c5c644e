"""Dictionaries as a program sees them: what is refused before any request, and what a job gets."""

from __future__ import annotations

import pickle
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException
from cloud._sharing.dictionary import values_of
from picloud_model.wire.dictionary import ListedEntry

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cloud.Dict("a b"), "'a b' is not a valid name of a dictionary: use 1 to 64"),
        (lambda: cloud.Dict("a")[1], "Keys of a dictionary are texts, not 1"),  # type: ignore[index]
        (lambda: cloud.Dict("a")[""], "'' is not a valid key of a dictionary: use 1 to 200"),
        (lambda: cloud.Dict("a").set("k" * 201, 1), "is not a valid key"),
        (lambda: cloud.Dict("a").read("a\n"), "is not a valid key"),
        (lambda: cloud.Dict("a").read("\ud800"), "is not a valid key"),
        (lambda: cloud.Dict("a").set("k", 1, version=-1), "version must be a whole number from 0"),
        (lambda: cloud.Dict("a").change("k", 5), "takes a function that returns the new value"),  # type: ignore[arg-type]
        (lambda: cloud.Dict("a").wait("k", 1.5), "version must be"),  # type: ignore[arg-type]
        (lambda: cloud.Dict("a").set("k", b"x" * 65_536), "is 65,5.. bytes pickled, and the limit"),
        (lambda: cloud.Dict("a").set("k", threading.Lock()), "value of 'k'.*lock"),
        (
            lambda: cloud.Dict("a").set("k", 1, lock=threading.Lock()),  # type: ignore[arg-type]
            "lock must be a cloud.Lock that is held",
        ),
        (
            lambda: cloud.Dict("a").set("k", 1, lock=cloud.Lock("l")),
            r"Lock\('l'\) is not held here: acquire it first",
        ),
    ],
)
def test_what_is_refused_before_any_request(make: Any, message: str) -> None:
    """In one sentence, which names the value."""
    with current_client(client_for(FakeServer())), pytest.raises(CloudException, match=message):
        make()


def test_a_job_gets_the_same_dictionary() -> None:
    """Pickled, it is its name; only texts are keys."""
    copy = pickle.loads(pickle.dumps(cloud.Dict("a")))

    assert repr(copy) == "Dict('a')"
    assert 1 not in copy


class Entries:
    """A client whose server has these entries."""

    def __init__(self, *entries: ListedEntry) -> None:
        self._entries = entries

    def entries(self, *, with_values: bool) -> Iterator[ListedEntry]:
        """Yield them."""
        assert with_values
        return iter(self._entries)


class Stored(cloud.Dict):
    """A dictionary that has the entries of a test."""

    def __init__(self, *entries: ListedEntry) -> None:
        super().__init__("a")
        self._entries = Entries(*entries)

    def _client(self) -> Any:
        return self._entries


def test_a_value_of_a_module_that_is_missing_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error says what a job needs; a listing shows the other values all the same."""
    (tmp_path / "breakfast.py").write_text("class Egg: pass")
    with monkeypatch.context() as patched:
        patched.syspath_prepend(tmp_path)
        egg = import_module("breakfast").Egg
    client = client_for(FakeServer())
    envelope = client.packer.envelope
    shared = Stored(
        *(
            ListedEntry(key=key, version=1, size=1, value=data, envelope=envelope)
            for key, value in (("b", egg), ("a", 1))
            for data in (client.packer.pickle(value, key),)
        )
    )
    monkeypatch.delitem(sys.modules, "breakfast")

    with current_client(client):
        with pytest.raises(CloudException, match=r"'breakfast', .* if its function imports it\."):
            shared.copy()
        values = values_of(shared, str)
    assert values["a"] == 1
    assert values["b"].startswith("Cannot read the value of 'b' in Dict('a'): it needs the")
