"""Globals that code names in texts only."""

from __future__ import annotations

from picloud_pickle import functions, names


def test_every_function_that_is_known_to_read_texts_has_its_texts_read() -> None:
    """The words that lead to a look at the texts are those that `texts` knows."""
    known = names.EVALUATE | names.TAKE_CODE | names.TAKE_FORMULA

    assert known | {"globals", "query", "modules", "__main__"} == names.READERS


def test_pandas_marks_the_names_of_its_caller() -> None:
    """A column of a table is not taken for a global."""
    found = functions.code_names((lambda table: table.query("a > @limit")).__code__)

    assert found.texts == {"limit"}


def test_texts_are_not_read_without_need() -> None:
    """A text that is only a text names nothing."""
    assert functions.code_names((lambda: "tenfold(3)").__code__).texts == set()


def test_a_text_that_is_not_code_names_nothing() -> None:
    """Broken code is left alone."""
    found = functions.code_names((lambda: eval("broken ( code")).__code__)

    assert found.texts == set()
