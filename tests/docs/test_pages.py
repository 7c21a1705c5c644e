"""The pages themselves: their links, their tables, and what is generated from code."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from picloud_model.display.diagram import mermaid

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that exists."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_program_in_the_readme_prints_what_it_says(tmp_path: Path) -> None:
    """Each `print` prints what the comment after it says."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    script = tmp_path / "readme.py"
    script.write_text(f"import cloud\ncloud.start_simulator()\n{program}", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.split() == re.findall(r"^print.*  # (.*)$", program, re.MULTILINE)


def test_the_diagram_of_states_is_the_table() -> None:
    """The diagram in the architecture page is drawn from the table: `python -m
    picloud_model.display.diagram` prints it.
    """
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

    drawn = re.findall(r"^```mermaid\n(stateDiagram[^`]*)\n```$", page, re.MULTILINE)

    assert drawn == [mermaid()]


def test_the_architecture_describes_each_room() -> None:
    """The architecture page has a sentence for each folder of these packages."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    packages = ["api/picloud_api", "sdk/picloud_worker", "sdk/cloud"]
    packages += ["cli/picloud", "driver/picloud_driver"]
    folders = [
        init.parent.relative_to(ROOT / package).as_posix()
        for package in packages
        for init in (ROOT / package).rglob("__init__.py")
        if [*init.parent.glob("[!_]*.py")] and init.parent != ROOT / package
    ]

    assert [folder for folder in folders if f"`{folder}/`" not in page] == []


@pytest.mark.parametrize("name", ["cli", "cloud"])
def test_the_reference_is_up_to_date(name: str) -> None:
    """The reference is generated from commands and docstrings; `make reference` writes it."""
    folder = ROOT / "docs" / "reference"
    made = runpy.run_path(str(folder / f"make_{name}.py"))["page"]()

    assert (folder / f"{name}.md").read_text(encoding="utf-8") == made


def test_every_word_is_defined_once() -> None:
    """The glossary lists the words of users and those of developers, each word once, in order."""
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    sections = page.split("\n## ")[1:]

    words = [re.findall(r"^\| \*\*([^*]+)\*\*", each, re.MULTILINE) for each in sections]

    assert [sorted(each, key=str.casefold) for each in words] == words
    assert len({*words[0], *words[1]}) == len(words[0]) + len(words[1]) > 60


def test_the_index_links_every_page() -> None:
    """A reader finds each page of the documentation from its first page."""
    docs = ROOT / "docs"
    index = (docs / "README.md").read_text(encoding="utf-8")
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - {"README.md"}
    pages.discard("how-to/notes.md")  # the page that the example in "Add a noun" adds

    assert pages - set(re.findall(r"\]\(([^)#]+)", index)) == set()


@pytest.mark.parametrize("page", ["security", "isolation"])
def test_attacks_are_held_by_tests_that_exist(page: str) -> None:
    """Each row of a table of attacks names an existing test, by its file or by its name."""
    text = (ROOT / "docs" / "explanation" / f"{page}.md").read_text(encoding="utf-8")
    isolation = (ROOT / "tests" / "e2e" / "test_isolation.py").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    named = [name for cells in rows for name in re.findall(r"`([^`]*test_[^`]+)`", cells[-1])]

    assert len(named) >= 15
    for name in named:
        if name.endswith(".py"):
            assert (ROOT / "tests" / name.removeprefix("tests/")).is_file(), name
        else:
            assert f"def {name}(" in isolation, name
