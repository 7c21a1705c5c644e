"""The programs of others on the pages for their users."""

from __future__ import annotations

import sys

import pytest

from bench import coming_from


@pytest.mark.parametrize("page", ["concurrent-futures", "joblib"])
def test_programs_of_others_print_what_they_say(page: str) -> None:
    """Those whose packages are here; `make coming-from` installs the others and runs them all."""
    source, expected = coming_from.program(coming_from.PAGES / f"{page}.md")

    assert coming_from.printed(sys.executable, source) == expected
