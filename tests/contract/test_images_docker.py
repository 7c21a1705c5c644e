"""What images of docker promise, in a dockerd of the tests, from a local wheel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from picloud_driver.docker.engine import Engine
from picloud_driver.docker.slot_base import BASES
from picloud_driver.image import ImageState
from picloud_driver.image.containers.docker import DockerImages
from picloud_driver.stack import image as slot_image
from picloud_model.errors import RequestConflict, RequestRefused, Unavailable
from picloud_model.wire import TunnelOrder
from picloud_model.wire.environment import Recipe

from tests.contract.gadget import GADGET, make_wheel
from tests.contract.image_builds import BASE, built, digest, settled
from tests.e2e.stack_docker import daemon
from tests.polling import eventually
from tests.servers import base_page
from tests.servers import image as base_image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from picloud_driver.image import Image

MACHINE = "sha256:" + "7" * 64
NETWORK = "picloud-0123456789ab"
_VERSION = (
    "import cloud, gadget, numpy, platform;"
    "print(platform.python_version().rpartition('.')[0], gadget.answer)"
)


@pytest.fixture
async def images(tmp_path: Path) -> AsyncIterator[DockerImages]:
    """Images in the dockerd of the tests, whose packages come from a directory of this test."""
    make_wheel(tmp_path / "wheels")
    engine = Engine(daemon().host)
    engine.network(NETWORK, NETWORK[:15])
    opened = open_images(tmp_path)
    yield opened
    await opened.close()
    for image in await opened.names():
        await opened.remove(image)
    engine.clear(NETWORK, kept="none")


def open_images(root: Path, **disk: Any) -> DockerImages:
    """Open the images as a new process does."""
    variables = {"UV_FIND_LINKS": str(root / "wheels"), "UV_OFFLINE": "1"}
    return DockerImages(
        root / "environments",
        variables,
        host=daemon().host,
        base=slot_image.reference(),
        network=NETWORK,
        gateway="127.0.0.1",
        **disk,
    )


@pytest.fixture(scope="module")
def trixie() -> str:
    """A base besides the default one, in the dockerd of the tests; its name."""
    base_image.load(daemon(), BASES[1])
    return "base/trixie"


async def test_an_image_has_its_packages_and_its_files(images: DockerImages) -> None:
    """Its digest names it on this machine only; it can be removed, and is built once."""
    name = digest(GADGET)
    with pytest.raises(Unavailable, match="missing on this machine"):
        images.container(name)
    found, failed = await asyncio.gather(
        built(images, GADGET), built(images, Recipe(test=["no-such-program"]))
    )
    code = "import gadget, sys; print(gadget.answer, open(sys.prefix + '/share/note').read())"
    python = "/opt/environment/bin/python"
    run = ("run", "--rm", "--network=none", images.container(name), python, "-c", code)

    assert (found.state, found.packages, found.size > 0) == (
        ImageState.READY,
        ["gadget==1.0"],
        True,
    )
    assert (failed.state, failed.problem) == (
        ImageState.FAILED,
        "test: there is no program 'no-such-program'.",
    )
    assert daemon().docker(*run).stdout == "42 hello42\n"
    assert images.container(name).startswith(f"localhost/{NETWORK}/bookworm-")
    assert await images.names() == [name]
    log = await images.log(name, 0)
    await images.start(name, GADGET, BASE)
    assert (await images.find(name)).state is ImageState.READY
    assert await images.log(name, 0) == log
    for _ in range(2):
        await images.remove(name)
    assert (await images.find(name)).state is ImageState.ABSENT
    assert await images.names() == []


async def test_a_server_that_stops_ends_its_builds(images: DockerImages, tmp_path: Path) -> None:
    """Nothing of them is left in docker, and the next process says what became of them."""
    endless = Recipe(test=["sleep", "1000"])
    await images.start(digest(endless), endless, BASE)

    async def tests() -> bool:
        return b"=== test\n" in await images.log(digest(endless), 0)

    await eventually(tests, "the test command runs", 60)
    await images.close()
    found = await open_images(tmp_path).find(digest(endless))

    assert found.problem.startswith("The build was interrupted")
    assert daemon().docker("ps", "--all", "--quiet", "--filter", f"network={NETWORK}").stdout == ""
    with pytest.raises(RequestRefused, match="no base 'base/x' on this server"):
        await images.start(digest(endless), endless, "base/x")


async def test_what_a_setup_machine_has_become_is_an_image(images: DockerImages) -> None:
    """Root changes it by hand; without a change it is the same image, and a stop loses nothing."""
    base = Recipe(base=BASE)
    await built(images, base)
    name = f"{NETWORK}-setup-{MACHINE.removeprefix('sha256:')}"
    await images.open(MACHINE, digest(base))
    started = await settled(images, MACHINE)
    unchanged = await images.snapshot(MACHINE)
    pip = "PATH=/opt/environment/bin:/opt/build/bin:$PATH pip install --quiet gadget"
    daemon().docker("exec", name, "sh", "-ec", f"{pip}; echo 1 >/etc/note; echo 2 >/tmp/note")

    first = await images.snapshot(MACHINE)
    stored = await settled(images, first)
    assert (stored.problem, stored.packages, stored.apt) == ("", ["gadget==1.0"], [])
    again = await images.snapshot(MACHINE)
    daemon().docker("stop", "--time", "5", name)
    stopped = await images.find(MACHINE)
    await images.open(MACHINE, digest(base))
    await settled(images, MACHINE)
    started_again = await images.snapshot(MACHINE)
    daemon().docker("exec", name, "chmod", "600", "/etc/note")
    changed = await images.snapshot(MACHINE)
    await settled(images, changed)
    run = ("run", "--rm", "--network=none", "--entrypoint=", images.container(first))
    look = ("sh", "-c", "cat /etc/note; ls /tmp /opt/build; id -u")
    shown = daemon().docker(*run, *look).stdout

    assert started.state is ImageState.READY
    assert (stopped.state, stopped.problem[:15]) == (ImageState.FAILED, "It has stopped;")
    assert unchanged == digest(base)
    assert again == started_again == first != changed
    assert {*await images.names()} == {digest(base), MACHINE, first, changed}
    assert shown.splitlines()[0] == "1"
    assert "note" not in shown
    await images.remove(MACHINE)
    assert MACHINE not in await images.names()
    assert (await images.find(first)).state is ImageState.READY


async def test_a_setup_machine_in_which_slots_could_not_start_is_not_saved(
    images: DockerImages,
) -> None:
    """The failure has the last lines of what Python prints; what was broken can be mended."""
    base = Recipe(base=BASE)
    await built(images, base)
    await images.open(MACHINE, digest(base))
    await settled(images, MACHINE)
    name = f"{NETWORK}-setup-{MACHINE.removeprefix('sha256:')}"
    find = "import msgspec; print(msgspec.__file__)"
    module = daemon().docker("exec", name, "/usr/bin/python3", "-c", find).stdout.strip()
    daemon().docker("exec", name, "mv", module, "/root/kept")

    broken = await settled(images, await images.snapshot(MACHINE))
    daemon().docker("exec", name, "mv", "/root/kept", module)
    mended = await settled(images, await images.snapshot(MACHINE))

    assert broken.state is ImageState.FAILED
    assert broken.problem.startswith("start the worker: ")
    assert "msgspec" in broken.problem
    assert (mended.state, mended.problem) == (ImageState.READY, "")


async def test_a_setup_machine_in_which_a_command_runs_is_not_saved(images: DockerImages) -> None:
    """The error names the command; an unknown machine cannot be reached."""
    base = Recipe(base=BASE)
    await built(images, base)
    await images.open(MACHINE, digest(base))
    await settled(images, MACHINE)
    name = f"{NETWORK}-setup-{MACHINE.removeprefix('sha256:')}"
    daemon().docker("exec", "--detach", name, "sleep", "1234")

    with pytest.raises(RequestConflict, match="A command runs in the setup machine: 'sleep 1234'"):
        await images.snapshot(MACHINE)
    daemon().docker("rm", "--force", name)
    with pytest.raises(Unavailable, match="The setup machine does not run; picloud env modify"):
        await images.snapshot(MACHINE)
    assert (await images.find(MACHINE)).state is ImageState.ABSENT
    with pytest.raises(Unavailable, match="Docker has no container"):
        await images.serve_shell("sha256:" + "8" * 64, TunnelOrder(22, 1, "ticket"))


async def test_a_setup_machine_that_takes_too_much_disk_is_stopped(
    images: DockerImages, tmp_path: Path
) -> None:
    """It is not saved either; with less in it, it goes on."""
    base = Recipe(base=BASE)
    await built(images, base)
    name = f"{NETWORK}-setup-{MACHINE.removeprefix('sha256:')}"
    await images.open(MACHINE, digest(base))
    await settled(images, MACHINE)
    # Each process that is asked for a shell in a machine watches, until no machine runs.
    eager = open_images(tmp_path, most_bytes=20_000_000, watch_every_s=0.2)
    daemon().docker("exec", name, "sh", "-c", "head -c 30000000 /dev/zero > /root/large")

    with pytest.raises(RequestConflict, match=r"has 0\.03 GB besides .* may have 0\.02 GB: remove"):
        await eager.snapshot(MACHINE)
    await eager.serve_shell(MACHINE, TunnelOrder(22, 1, "ticket"))

    async def stopped() -> Image | None:
        found = await eager.find(MACHINE)
        return found if found.state is ImageState.FAILED else None

    found = await eventually(stopped, "it was stopped", 60)
    assert found.problem.startswith("It was stopped because it took more than 0.02 GB of disk;")
    await eager.close()
    await images.open(MACHINE, digest(base))
    await settled(images, MACHINE)
    daemon().docker("exec", name, "rm", "/root/large")
    assert (await images.find(MACHINE)).state is ImageState.READY
    await images.remove(MACHINE)


async def test_an_image_is_made_from_the_base_that_its_recipe_names(
    images: DockerImages, trixie: str
) -> None:
    """Bases are found by the labels of their images; a setup machine keeps that of its image."""
    recipe = Recipe(base=trixie, pip=["gadget==1.0"])

    bases = {each.name: each for each in await images.bases()}
    found = await built(images, recipe, trixie)
    python = "/opt/environment/bin/python"
    name = images.container(digest(recipe))
    run = ("run", "--rm", "--network=none", name, python, "-P", "-c", _VERSION)
    shown = daemon().docker(*run).stdout.split()
    await images.open(MACHINE, digest(recipe))
    await settled(images, MACHINE)
    machine = f"{NETWORK}-setup-{MACHINE.removeprefix('sha256:')}"
    daemon().docker("exec", machine, "touch", "/etc/note")
    saved = await images.snapshot(MACHINE)
    stored = await settled(images, saved)
    await images.remove(MACHINE)

    assert list(bases) == [BASE, trixie]
    assert [(each.python, each.desc) for each in bases.values()] == [
        ("3.11", "Debian 12, CPython 3.11"),
        ("3.13", "Debian 13, CPython 3.13"),
    ]
    assert (found.state, found.packages) == (ImageState.READY, ["gadget==1.0"])
    assert shown == ["3.13", "42"]
    assert (stored.state, stored.packages, stored.apt) == (
        ImageState.READY,
        ["gadget==1.0"],
        [],
    )


@pytest.mark.usefixtures("trixie")
def test_the_reference_lists_what_the_bases_have() -> None:
    """`python -m tests.servers.base_page` writes it."""
    assert base_page.PAGE.read_text(encoding="utf-8") == base_page.page(daemon())
