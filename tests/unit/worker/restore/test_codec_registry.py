"""Codecs that a job registers are gone after it."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

import pytest
from picloud_worker.restore.codec_registry import CodecRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def registry() -> Iterator[CodecRegistry]:
    """One that notes what is registered."""
    original = codecs.register, codecs.register_error
    made = CodecRegistry()
    made.install()
    yield made
    codecs.register, codecs.register_error = original  # type: ignore[assignment]


def search(name: str) -> Any:
    """Find a codec of the tests."""
    return codecs.lookup("utf-8") if name == "of_tests" else None


def test_search_functions(registry: CodecRegistry) -> None:
    """Those that were registered before stay, in their order."""
    codecs.register(search)
    before = registry.search_functions()
    codecs.register(lambda name: codecs.lookup("latin-1") if name == "of_a_job" else None)
    assert "é".encode("of_a_job") == b"\xe9"

    registry.unregister(before)

    assert registry.search_functions() == before == [search]
    assert "é".encode("of_tests") == b"\xc3\xa9"
    with pytest.raises(LookupError, match="unknown encoding: of_a_job"):
        "é".encode("of_a_job")
    registry.unregister([])


def test_handlers_of_errors(registry: CodecRegistry) -> None:
    """A new name is unknown again, and one of Python's own does what it did."""
    codecs.register_error("of_a_job", codecs.ignore_errors)
    codecs.register_error("replace", codecs.ignore_errors)
    assert b"a\xff".decode(errors="of_a_job") == "a"
    assert codecs.lookup_error("replace") is codecs.ignore_errors

    registry.restore_handlers({})

    assert codecs.lookup_error("replace") is codecs.replace_errors
    with pytest.raises(LookupError, match="unknown error handler name 'of_a_job'"):
        b"a\xff".decode(errors="of_a_job")


def test_they_look_like_those_of_the_library(registry: CodecRegistry) -> None:
    """They are pickled by their names."""
    assert registry.handlers() == {}
    assert (codecs.register.__module__, codecs.register.__qualname__) == ("codecs", "register")
    assert "Register" in (codecs.register.__doc__ or "")
