"""The worst habits of English stay out of docstrings and messages; see docs/contributing.md."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.shape.graph import ROOT, nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HABITS: Final = {
    r"\bwho(so|m)?ever\b|\bwhichever\b|\bwhos(e|o)ever\b": "name the thing",
    r"\bbe it\b": "whether",
    r"\bany ?more\b": "no longer, any longer",
    r"\bso (lately|late|long as ever)\b": "say the time",
    r"\b(is|are|was|were|be|been) told\b": "receives, is sent, is reported",
    r"\b(is|are|was|were) (asked|answered) (for|by)\b": "is requested, is returned",
    r"\bbeside\b": "besides, next to, compared with",
    r"\blies? (in|at|on|below|under|where|beside|there|here)\b": "is stored, is",
    r"\b(nobody|somebody|anybody)\b": "no process, a client: say what",
    r"\banswers (what|whether)\b": "returns",
    r"\bbut for\b": "except for",
    r"\bas well as ever\b": "as before",
    r"(?<!there )\b(is|are|was|were) no (?!longer|more|less|fewer|better|such|slower|faster|larger"
    r"|worse|place|reason|need|way|exception|use|Python)": "is not a",
    r"\bfor ever\b": "forever",
    r"(?-i:\bMost) (bytes|jobs|keys|seconds|rows)\b (of|in|that|to)\b": "maximum number of",
    r"\bshall\b": "must, or the present tense",
}
"""Patterns that make a reader stop, and what to write instead."""
ANY_HABIT: Final = re.compile("|".join(HABITS), re.IGNORECASE)
"""Most texts have none, which one search shows."""
FOLDERS: Final = (
    "api",
    "bench",
    "cli",
    "docs",
    "driver",
    "examples",
    "jobspecs",
    "packer",
    "release",
    "sdk",
    "tests",
)
SOURCES: Final = {
    "tests/shape/test_english.py",  # the habits themselves
    "tests/unit/sdk/_packing/test_bundler.py",  # a module of the test is called beside
    "tests/unit/sdk/_packing/test_bundles.py",
}
"""Modules with texts that are not English."""
PAGES: Final = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def prose(path: Path) -> Iterator[str]:
    """Yield the docstrings and other texts with a space of a module, with their line numbers."""
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield f"line {node.lineno}: {node.value}"


def habits(text: str) -> list[str]:
    """Return the bad habits of a text, with their surroundings."""
    flat = " ".join(text.split())
    phrases: list[str] = []
    if not ANY_HABIT.search(flat):
        return phrases
    for pattern, better in HABITS.items():
        for match in re.finditer(pattern, flat, re.IGNORECASE):
            around = flat[max(0, match.start() - 40) : match.end() + 40]
            phrases.append(f"{around!r}: {better}")
    return phrases


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_and_messages_are_plain(folder: str) -> None:
    """No docstring and no message has a phrase that a native reader stumbles over."""
    assert [
        f"{path.relative_to(ROOT)}, {text[:12]} {each}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in SOURCES
        for text in prose(path)
        for each in habits(text)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_plain(page: Path) -> None:
    """Neither has a page, except for the examples of the style sheet."""
    text = page.read_text(encoding="utf-8").partition("## English")[0]

    assert habits(text) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_were_merged(page: Path) -> None:
    """No page has the lines that git writes where two changes conflict."""
    lines = page.read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if re.match(r"(<{7}|>{7}|\|{7}) |={7}$", line)] == []
