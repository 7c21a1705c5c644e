"""Codecs that a program has registered are found, registered in its jobs, and gone after them."""

from __future__ import annotations

import codecs
import gc
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from picloud_pickle.patches.applied import AppliedPatches, Patch
from picloud_pickle.patches.codec_table import CODECS, CodecTable
from picloud_pickle.pickler import Pickler

if TYPE_CHECKING:
    from collections.abc import Iterator


def search(name: str) -> Any:
    """Find a codec of the tests."""
    return codecs.lookup("latin-1") if name == "of_program" else None


def handler(error: UnicodeError) -> Any:
    """Handle an error as a program does."""
    return "?", len(str(error)) and 1


@pytest.fixture
def main() -> Iterator[ModuleType]:
    """A main program, which these functions are of."""
    # A server that ran in this process has frozen its objects: what holds them is not found then.
    gc.unfreeze()
    before, made = sys.modules["__main__"], ModuleType("__main__")
    sys.modules["__main__"] = made
    for function in (search, handler):
        function.__globals__["__name__"] = "__main__"
    yield made
    search.__globals__["__name__"] = __name__
    sys.modules["__main__"] = before


def test_what_a_program_registers_is_found(main: ModuleType) -> None:
    """Python lists neither; they are found once the program knows `codecs`."""
    table = CodecTable()
    codecs.register(search)
    codecs.register_error("of_program", handler)
    codecs.register_error("of_others", codecs.ignore_errors)

    unknown = table.of_program(Pickler)
    main.c = codecs  # type: ignore[attr-defined]
    found = table.of_program(Pickler)
    codecs.unregister(search)

    assert unknown == {}
    renamed = {"of_others": codecs.ignore_errors}
    assert found == {search: search, "of_program": handler} | renamed
    assert search not in table.of_program(Pickler)


def test_they_are_registered_for_a_job_and_gone_after_it() -> None:
    """Also where Python has a handler of that name, which is there again."""
    applied = AppliedPatches()
    patches = [(search, search), ("of_a_job", handler), ("replace", handler)]

    applied.make(Patch(CODECS, name, value) for name, value in patches)
    during = "é".encode("of_program"), b"\xff".decode(errors="of_a_job")
    replaced, sent = codecs.lookup_error("replace"), dict(CODECS.of_program(Pickler))
    applied.undo()

    assert during == (b"\xe9", "?")
    assert replaced is handler
    assert sent == dict(patches)
    assert codecs.lookup_error("replace") is codecs.replace_errors
    assert CODECS.of_program(Pickler) == {}
    with pytest.raises(LookupError, match="unknown encoding: of_program"):
        "é".encode("of_program")
    with pytest.raises(LookupError, match="unknown error handler name 'of_a_job'"):
        b"\xff".decode(errors="of_a_job")


def test_what_cannot_be_sent_is_left_out_with_a_warning(main: ModuleType) -> None:
    """Once; the others are sent all the same."""
    table, lock = CodecTable(), threading.Lock()
    main.c = codecs  # type: ignore[attr-defined]

    def locked(name: str) -> Any:
        with lock:
            return search(name)

    locked.__module__ = locked.__globals__["__name__"]
    codecs.register(search)
    codecs.register(locked)

    with pytest.warns(UserWarning, match="locked, which is registered with codecs, cannot be sent"):
        found = table.of_program(Pickler)
    again = table.of_program(Pickler)
    codecs.unregister(locked)
    codecs.unregister(search)

    assert search in found
    assert locked not in found
    assert again == found
