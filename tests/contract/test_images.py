"""What each image port promises, over virtual environments that uv makes from a local wheel."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from picloud_driver.image import ImagePort, ImageState
from picloud_driver.image.base_only import BaseOnlyImages
from picloud_driver.image.venv import VenvImages
from picloud_model.errors import RequestConflict, RequestRefused, Unavailable
from picloud_model.pack import PYTHON
from picloud_model.wire.environment import Recipe

from tests.contract.gadget import GADGET, make_wheel
from tests.polling import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from picloud_driver.image import Image

MACHINE = "sha256:" + "7" * 64
BASE = f"base/python{PYTHON}"


@pytest.fixture
async def images(tmp_path: Path) -> AsyncIterator[VenvImages]:
    """Images whose packages come from a directory of this test."""
    make_wheel(tmp_path / "wheels")
    make_wheel(tmp_path / "wheels", "foreign", tag="cp311-cp311-win_amd64")
    opened = open_images(tmp_path)
    yield opened
    await opened.close()


def open_images(root: Path) -> VenvImages:
    """Open the images as a new process does."""
    variables = {
        "PATH": os.environ["PATH"],
        "UV_FIND_LINKS": str(root / "wheels"),
        "UV_OFFLINE": "1",
    }
    return VenvImages(root / "environments", variables)


def digest(recipe: Recipe) -> str:
    """Return the digest of a recipe on this Python."""
    return recipe.digest(PYTHON)


async def built(images: ImagePort, recipe: Recipe) -> Image:
    """Build an image and return what became of it."""
    image = digest(recipe)
    await images.start(image, recipe, BASE)

    async def ended() -> Image | None:
        found = await images.find(image)
        return found if found.state is not ImageState.BUILDING else None

    found = await eventually(ended, "the build has ended")
    assert found is not None
    return found


def run(images: VenvImages, recipe: Recipe, code: str) -> str:
    """Run code in the Python of an image, away from this directory."""
    python = images.interpreter(digest(recipe))
    done = subprocess.run(
        [python, "-P", "-c", code], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_an_image_has_its_packages_its_files_and_the_worker(images: VenvImages) -> None:
    """And nothing else of the server; it is listed by its digest, and its log tells the steps."""
    found = await built(images, GADGET)

    assert (found.state, found.packages, found.size > 0) == (
        ImageState.READY,
        ["gadget==1.0"],
        True,
    )
    assert run(images, GADGET, "import gadget, picloud_worker.__main__; print(gadget.answer)") == (
        "42"
    )
    read = "import sys, pathlib; print((pathlib.Path(sys.prefix) / 'share/note').read_text())"
    assert run(images, GADGET, read) == "hello42"
    find = "import importlib.util as u; print(u.find_spec('falcon'), u.find_spec('picloud_api'))"
    assert run(images, GADGET, find) == "None None"
    assert await images.names() == [digest(GADGET)]
    log = await images.log(digest(GADGET), 0)
    assert b"=== install packages\n" in log
    assert await images.log(digest(GADGET), len(log)) == b""


async def test_two_builds_of_an_image_are_one(images: VenvImages, tmp_path: Path) -> None:
    """In one process or in two; a ready image is not built again."""
    other = open_images(tmp_path)
    starts = (each.start(digest(GADGET), GADGET, BASE) for each in (images, other, images))
    await asyncio.gather(*starts)

    assert (await built(other, GADGET)).state is ImageState.READY
    assert (await built(images, GADGET)).state is ImageState.READY
    log = await images.log(digest(GADGET), 0)
    assert log.count(b"=== make the environment\n") == 1
    await other.close()


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        (Recipe(pip=["gadget==2.0"]), "install packages: error: .*gadget==2.0"),
        (Recipe(test=["python", "-c", "1/0"]), "test: .*ZeroDivisionError: division by zero"),
        (Recipe(test=["no-such-program"]), "test: there is no program 'no-such-program'"),
        (Recipe(test=["sh", "-c", "exit 3"]), "test: exit status 3"),
        (
            Recipe(files={f"lib/python{PYTHON}/site-packages/msgspec.py": "1/0"}),
            "start the worker: .*msgspec.py.*ZeroDivisionError: division by zero",
        ),
        (Recipe(pip=["foreign==1.0"]), "install packages: .*foreign.*no wheels.*platform"),
        (Recipe(commands=["true", "false; true"]), r"command 2 \(false; true\): exit status 1"),
    ],
)
async def test_a_failing_step_is_named_with_its_output(
    images: VenvImages, recipe: Recipe, problem: str
) -> None:
    """Nothing of the image is left, so that no slot starts in it; the next build begins anew."""
    found = await built(images, recipe)

    assert found.state is ImageState.FAILED
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(found.problem)
    assert await images.names() == []
    with pytest.raises(Unavailable, match="missing on this machine"):
        images.interpreter(digest(recipe))
    assert list((images.folder.root / "scratch").iterdir()) == []


async def test_a_server_that_stops_ends_its_builds(images: VenvImages, tmp_path: Path) -> None:
    """The next process says so, and can build the image."""
    code = f"import time; open('{tmp_path}/begun', 'w').close(); time.sleep(600)"
    recipe = Recipe(test=["python", "-c", code])
    await images.start(digest(recipe), recipe, BASE)
    await eventually((tmp_path / "begun").exists, "the test command runs")
    await images.close()
    again = open_images(tmp_path)

    found = await again.find(digest(recipe))

    assert found.state is ImageState.FAILED
    assert found.problem.startswith("The build was interrupted")
    await again.close()


async def test_a_build_gets_no_variables_of_the_server(
    images: VenvImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment is what it was given, and a directory of its own."""
    monkeypatch.setenv("VAULT_TOKEN", "secret")
    recipe = Recipe(test=["python", "-c", "import os; print(sorted(os.environ), os.getcwd())"])
    await built(images, recipe)

    log = (await images.log(digest(recipe), 0)).decode()

    assert "'UV_FIND_LINKS'" in log
    assert "VAULT_TOKEN" not in log


async def machine_of(images: VenvImages) -> Path:
    """Open a setup machine that begins as an image, and return its directory."""
    await built(images, GADGET)
    await images.open(MACHINE, digest(GADGET))
    await eventually(ready_in(images, MACHINE), "the machine is ready")
    return images.folder.image(MACHINE)


async def ran(program: Path, *arguments: str) -> None:
    """Run a program, which must succeed."""
    process = await asyncio.create_subprocess_exec(program, *arguments)
    assert await process.wait() == 0


def ready_in(images: VenvImages, image: str) -> Callable[[], Awaitable[Image | None]]:
    """Return a function that returns an image once its build has ended."""

    async def ended() -> Image | None:
        found = await images.find(image)
        return found if found.state is not ImageState.BUILDING else None

    return ended


async def test_a_snapshot_of_a_setup_machine_is_an_image(images: VenvImages) -> None:
    """It has what `pip` has installed there, and stays as it is when the machine changes again."""
    machine = await machine_of(images)
    python, pip = machine / "bin" / "python", machine / "bin" / "pip"
    await ran(pip, "uninstall", "gadget")
    (machine / "note").write_text("1")
    empty = await images.snapshot(MACHINE)
    await eventually(ready_in(images, empty), "the snapshot is stored")
    await ran(pip, "install", "gadget")
    await ran(python, "-c", "import gadget")

    image = await images.snapshot(MACHINE)
    found = await eventually(ready_in(images, image), "the snapshot is stored")

    assert found is not None
    assert (found.state, found.packages) == (ImageState.READY, ["gadget==1.0"])
    assert (await images.find(empty)).packages == []
    assert await images.snapshot(MACHINE) == image != empty
    assert (images.folder.image(image) / "note").read_text() == "1"
    left = [each for each in ("bin/pip", "picloud-constraints.txt") if
            (images.folder.image(image) / each).exists()]  # fmt: skip
    assert left == []
    assert run(images, GADGET, "import gadget; print(gadget.answer)") == "42"


async def test_a_machine_in_which_slots_could_not_start_is_not_saved(images: VenvImages) -> None:
    """The failure has the last lines of what its Python prints; the machine stays as it is."""
    machine = await machine_of(images)
    module = machine / f"lib/python{PYTHON}/site-packages/cloudpickle.py"
    module.write_text("raise RuntimeError('broken by hand')")

    image = await images.snapshot(MACHINE)
    found = await eventually(ready_in(images, image), "the snapshot has failed")

    assert found is not None
    assert found.state is ImageState.FAILED
    assert found.problem.startswith("start the worker: ")
    assert found.problem.endswith("RuntimeError: broken by hand")
    module.unlink()
    assert await images.snapshot(MACHINE) == digest(GADGET)


async def test_a_machine_is_not_saved_while_a_command_runs(images: VenvImages) -> None:
    """The refusal names the command; other programs of this machine do not count."""
    machine = await machine_of(images)
    path = f"{machine / 'bin'}:{os.environ['PATH']}"
    command = await asyncio.create_subprocess_exec("sleep", "1000", env={"PATH": path})
    try:
        with pytest.raises(RequestConflict, match="'sleep 1000'"):
            await images.snapshot(MACHINE)
    finally:
        command.kill()
        await command.wait()

    # Nothing has changed.
    assert await images.snapshot(MACHINE) == digest(GADGET)
    await images.remove(MACHINE)
    for call in (images.snapshot(MACHINE), images.open(MACHINE, MACHINE)):
        with pytest.raises(Unavailable, match="missing on this machine"):
            await call


async def test_an_image_can_be_removed(images: VenvImages) -> None:
    """It is absent afterwards; removing it twice is not an error."""
    await built(images, GADGET)
    for _ in range(2):
        await images.remove(digest(GADGET))

    assert (await images.find(digest(GADGET))).state is ImageState.ABSENT
    assert await images.names() == []


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        (Recipe(apt=["vim"]), "Debian packages cannot be installed here"),
        *(
            (Recipe(pip=[each]), "is not a valid requirement")
            for each in ("-r /etc/passwd", "--index-url=x", "./here", "/there", "a\nb", "-e .",
                         "a --hash=x",
                         "gadget @ file:///tmp/x", "gadget @ http://h/x.whl")
        ),
        (Recipe(pip=["picloud==1"]), "leave it out of pip"),
        *(
            (Recipe(files={each: ""}), "is not a valid path")
            for each in ("/etc/x", "../x", "", "a/../../x", "a\0b")
        ),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_built_is_refused(
    tmp_path: Path, recipe: Recipe, problem: str
) -> None:
    """The refusal says why."""
    assert problem in VenvImages(tmp_path, {}).refusal(recipe)


@pytest.mark.parametrize(
    "requirement",
    ["numpy", "numpy==2.1.0", "pandas[excel, html]>=2,<3", "tomli; python_version < '3.11'",
     "gadget @ https://example.com/gadget-1.0-py3-none-any.whl", "a.b_c-d ~= 1.0"],
)  # fmt: skip
def test_requirements_as_pip_takes_them_are_allowed(tmp_path: Path, requirement: str) -> None:
    """With versions, extras, markers and addresses."""
    assert VenvImages(tmp_path, {}).refusal(Recipe(pip=[requirement])) == ""


async def test_bases_that_are_asked_for_at_once_are_the_same(images: VenvImages) -> None:
    """A caller that comes while the machine is searched gets the whole list, too."""
    first, second = await asyncio.gather(images.bases(), images.bases())

    assert first == second == await images.bases()


async def test_bases_are_the_pythons_of_the_machine(images: VenvImages) -> None:
    """That of the server first; another one is refused with those there are."""
    bases = await images.bases()

    assert (bases[0].name, bases[0].python) == (BASE, PYTHON)
    with pytest.raises(RequestRefused, match=f"no base 'base/x' on this server; there are {BASE}"):
        await images.start(digest(GADGET), GADGET, "base/x")


async def test_a_name_is_a_digest(images: VenvImages) -> None:
    """Nothing else becomes a path."""
    for name in ("../x", "sha256:../x", "sha256:" + "0" * 63, ""):
        with pytest.raises(RequestRefused, match="not a valid digest"):
            await images.find(name)


async def test_a_server_with_one_base_refuses_every_recipe() -> None:
    """It says why, and offers its base."""
    images = BaseOnlyImages("bookworm", "3.11", "No.")

    assert [base.name for base in await images.bases()] == ["base/bookworm"]
    assert images.refusal(GADGET) == "No."
    with pytest.raises(RequestRefused, match="No"):
        await images.start(digest(GADGET), GADGET, "base/bookworm")
    assert (await images.find(digest(GADGET))).state is ImageState.ABSENT
    assert await images.names() == []
    for call in (images.open(MACHINE, digest(GADGET)), images.snapshot(MACHINE)):
        with pytest.raises(RequestRefused, match="No"):
            await call
    await asyncio.gather(images.remove(digest(GADGET)), images.close())
