"""Globals that code names in texts only."""

from __future__ import annotations

from picloud_pickle import functions
from picloud_pickle.names import texts


def test_every_function_that_is_known_to_read_texts_has_its_texts_read() -> None:
    """The words that lead to a look at the texts are those that `texts` knows."""
    known = texts._EVALUATE | texts._TAKE_CODE | texts._TAKE_FORMULA

    assert known | {"globals", "query", "modules", "__main__"} == functions._READERS


def test_pandas_marks_the_names_of_its_caller() -> None:
    """A column of a table is not taken for a global."""
    names = functions.code_names((lambda table: table.query("a > @limit")).__code__)

    assert names.texts == {"limit"}


def test_texts_are_not_read_without_need() -> None:
    """A text that is only a text names nothing."""
    assert functions.code_names((lambda: "tenfold(3)").__code__).texts == set()


def test_a_text_that_is_not_code_names_nothing() -> None:
    """Broken code is left alone."""
    names = functions.code_names((lambda: eval("broken ( code")).__code__)

    assert names.texts == set()
