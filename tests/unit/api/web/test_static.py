"""Static files: few and small, with their licences, and nothing else of the server's disk."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

import picloud_api.web.static
import pytest
from picloud_api.web.static import StaticFiles

from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

FOLDER = Path(picloud_api.web.static.__file__).with_name("static")


async def test_a_file_is_stored_by_browsers(api: ApiHarness) -> None:
    """Its address has its digest, so that it never changes; strangers may read it."""
    page = await WebPages(api).send("GET", StaticFiles().address("pages.css"))

    assert page.status == 200
    assert page.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in page.headers["cache-control"]


async def test_a_module_finds_those_that_it_imports(api: ApiHarness) -> None:
    """A library of several modules has its version in the name of its folder."""
    script = (FOLDER / "parquet.js").read_text(encoding="utf-8")
    imported = re.findall(r'from "\./([^"]+)"', script)

    pages = [await WebPages(api).send("GET", f"/static/{name}") for name in imported]

    assert len(pages) == 3
    for page in pages:
        assert (page.status, page.headers["content-type"]) == (
            200,
            "text/javascript; charset=utf-8",
        )


@pytest.mark.parametrize("name", ["..", "%2e%2e%2fstatic.py", "nothing.js", "static.py", "a/b.js"])
async def test_no_other_file_is_served(api: ApiHarness, name: str) -> None:
    """Only names of files of the folder are known."""
    assert (await WebPages(api).send("GET", f"/static/{name}")).status == 404


def test_scripts_and_styles_are_small() -> None:
    """All of them together are at most 200 KB, compressed."""
    texts = [path.read_bytes() for path in FOLDER.rglob("*") if path.suffix in (".js", ".css")]

    assert sum(len(gzip.compress(text)) for text in texts) <= 200_000


def test_each_script_of_others_has_its_licence() -> None:
    """The wheel contains the licences of what it contains."""
    for script in FOLDER.glob("*.min.js"):
        name = script.name.removesuffix(".min.js")
        assert (FOLDER / f"{name}.LICENSE.txt").read_text(encoding="utf-8")
    for folder in filter(Path.is_dir, FOLDER.iterdir()):
        assert (folder / "LICENSE.txt").read_text(encoding="utf-8")
