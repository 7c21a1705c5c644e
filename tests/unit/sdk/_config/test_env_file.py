"""Files of environment variables."""

from __future__ import annotations

import pytest
from cloud import CloudException
from cloud._config.env_file import parse

CANARY = "canary-51d0"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("A = b c ", "b c"),
        ("export A=b", "b"),
        ("A=", ""),
        ("A='b # c'", "b # c"),
        ('A="b\\n\\"c\\\\" # why', 'b\n"c\\'),
        ("A='b\\n'", "b\\n"),
        ("A=b#c", "b#c"),
        ("A=b # c", "b"),
        ("A=b=c", "b=c"),
        ("A=it's", "it's"),
        ("A=${B}", "${B}"),
        ("\ufeffA=b\r", "b"),
    ],
)
def test_a_line_is_a_variable(line: str, value: str) -> None:
    """As programs that read such files have it; nothing is substituted."""
    assert parse(line, "f") == {"A": value}


LINES = (
    CANARY,
    f"={CANARY}",
    f"1A={CANARY}",
    f"A-B={CANARY}",
    f"A='{CANARY}",
    f'A="{CANARY}" x',
)


@pytest.mark.parametrize("line", LINES)
def test_another_line_is_refused_by_its_number(line: str) -> None:
    """The message shows nothing of it: it may be a secret."""
    with pytest.raises(CloudException, match=r"Line 3 of \.env is not of the form") as refused:
        parse(f"# ours\n\n{line}\n", ".env")

    assert CANARY not in str(refused.value)


def test_a_later_line_wins() -> None:
    """As when a shell reads the file."""
    assert parse("A=1\nB=2\nA=3\n", "f") == {"A": "3", "B": "2"}
