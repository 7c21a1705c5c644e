"""What virtual environments and the cache of uv share: packages, but nothing that changes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from picloud_driver.image import ImageState
from picloud_driver.image.venv import VenvImages
from picloud_model.pack import PYTHON
from picloud_model.wire.environment import Recipe

from tests.contract.gadget import make_wheel
from tests.contract.package_index import PackageIndex, package_index
from tests.polling import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from picloud_driver.image import Image

MACHINE = "sha256:" + "7" * 64
BASE = f"base/python{PYTHON}"
MODULE = f"lib/python{PYTHON}/site-packages/gadget.py"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PackageIndex]:
    """An index with two packages, the second of which needs the first."""
    make_wheel(tmp_path / "wheels")
    make_wheel(tmp_path / "wheels", "widget", needs="gadget")
    with package_index(tmp_path / "wheels") as serving:
        yield serving


@pytest.fixture
async def images(tmp_path: Path, index: PackageIndex) -> AsyncIterator[VenvImages]:
    """Images whose packages come from that index, with a cache of their own."""
    variables = {
        "PATH": os.environ["PATH"],
        "UV_DEFAULT_INDEX": index.url,
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    opened = VenvImages(tmp_path / "environments", variables)
    yield opened
    await opened.close()


async def settled(images: VenvImages, image: str) -> Image:
    """Return what is known of an image once its build has ended."""

    async def ended() -> Image | None:
        found = await images.find(image)
        return found if found.state is not ImageState.BUILDING else None

    return await eventually(ended, "the build has ended")


async def built(images: VenvImages, **recipe: object) -> tuple[Image, Path]:
    """Build an image; return it, and its directory."""
    wanted = Recipe(**recipe)  # type: ignore[arg-type]
    image = wanted.digest(PYTHON)
    await images.start(image, wanted, BASE)
    found = await settled(images, image)
    assert not found.problem
    return found, images.folder.image(image)


def permissions(file: Path) -> tuple[bool, bool]:
    """Return whether a file is a link to another one, and whether its owner may write to it."""
    status = file.stat()
    return status.st_nlink > 1, bool(status.st_mode & stat.S_IWUSR)


async def test_pinned_packages_come_from_the_cache_without_a_request(
    images: VenvImages, index: PackageIndex
) -> None:
    """A second recipe with the same pins asks the index for nothing."""
    await built(images, pip=["gadget==1.0", "widget==1.0"])
    asked = len(index.requests)

    found, _ = await built(images, pip=["gadget==1.0", "widget==1.0"], files={"note": "2"})

    assert found.packages == ["gadget==1.0", "widget==1.0"]
    assert len(index.requests) == asked > 0


@pytest.mark.parametrize("wanted", ["widget==1.0", "widget>=1"])
async def test_what_is_not_pinned_is_looked_up(
    images: VenvImages, index: PackageIndex, wanted: str
) -> None:
    """A package that a pinned one needs is installed, though the cache has only the latter."""
    await built(images, pip=["gadget==1.0", "widget==1.0"])
    index.requests.clear()

    found, _ = await built(images, pip=[wanted])

    assert found.packages == ["gadget==1.0", "widget==1.0"]
    assert "/simple/gadget/" in index.requests


async def test_nothing_writes_to_files_that_environments_share(images: VenvImages) -> None:
    """They are protected; files and commands of a recipe, and setup machines, have their own."""
    _, first = await built(images, pip=["gadget==1.0"])
    _, replaced = await built(images, pip=["gadget==1.0"], files={MODULE: "answer = 1"})
    change = f"echo 'answer = 2' > {MODULE}"
    _, commanded = await built(images, pip=["gadget==1.0"], commands=[change])
    await images.open(MACHINE, Recipe(pip=["gadget==1.0"]).digest(PYTHON))
    await settled(images, MACHINE)
    machine = images.folder.image(MACHINE)
    (machine / MODULE).write_text("answer = 3")
    _, again = await built(images, pip=["gadget==1.0"], files={"note": "another recipe"})

    texts = [(each / MODULE).read_text().strip() for each in (first, replaced, commanded, again)]
    assert texts == ["answer = 42", "answer = 1", "answer = 2", "answer = 42"]
    assert permissions(first / MODULE) == permissions(again / MODULE) == (True, False)
    assert permissions(commanded / MODULE) == permissions(machine / MODULE) == (False, True)
