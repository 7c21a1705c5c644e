"""What images of docker promise where there is a registry: other machines get them by digest."""

from __future__ import annotations

import os
import subprocess
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from picloud_driver.docker.engine import Engine
from picloud_driver.image import ImageState
from picloud_driver.image.containers.docker import DockerImages
from picloud_driver.image.containers.registry import Registry as RegistryAddress
from picloud_driver.stack import image as slot_image
from picloud_model.wire.environment import Recipe

from tests.contract.image_builds import built, digest, settled
from tests.e2e.stack_docker import daemon
from tests.servers.run_registry import registry as run_registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.servers.run_registry import Registry

MACHINE = "sha256:" + "7" * 64
NETWORK = "picloud-registry"
FIRST = Recipe(files={"share/note": "first"})
SECOND = Recipe(files={"share/note": "second"})
THIRD = Recipe(files={"share/note": "third"})


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A registry for all tests of this module: it has the layers of the base after the first."""
    with run_registry() as running:
        yield running


@pytest.fixture
async def images(tmp_path: Path, registry: Registry) -> AsyncIterator[DockerImages]:
    """Images in the dockerd of the tests, which are pushed to the registry."""
    engine = Engine(daemon().host)
    engine.network(NETWORK, NETWORK[:15])
    opened = open_images(tmp_path, registry)
    yield opened
    await opened.close()
    for image in await opened.names():
        await opened.remove(image)
    engine.clear(NETWORK, kept="none")


def open_images(root: Path, registry: Registry | None) -> DockerImages:
    """Open the images as a new process does; None for one without a registry."""
    address = registry and RegistryAddress(
        address=registry.pull, push=registry.push, login=str(registry.server_login)
    )
    return DockerImages(
        root / "environments",
        {"UV_OFFLINE": "1"},
        host=daemon().host,
        base=slot_image.reference(),
        network=NETWORK,
        gateway="127.0.0.1",
        registry=address,
    )


def lose(reference: str) -> None:
    """Remove every name that docker here has for an image."""
    found = daemon().docker("image", "inspect", "--format={{.Id}}", reference).stdout.strip()
    daemon().docker("image", "rm", "--force", found)


def pulled(reference: str, login: Path | None) -> str:
    """Pull an image as a machine does; return why that is refused, "" if it is not."""
    folder = [] if login is None else ["--config", str(login)]
    try:
        daemon().docker(*folder, "pull", "--quiet", reference)
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    return ""


def status(registry: Registry, reference: str) -> int:
    """Return what the registry answers about an image; docker keeps answers for itself."""
    address, _, name = reference.partition("/")
    url = f"http://{address}/v2/{name.replace('@', '/manifests/')}"
    accept = "application/vnd.docker.distribution.manifest.v2+json"
    return requests.head(
        url, auth=registry.machine, headers={"Accept": accept}, timeout=10
    ).status_code


def stored_bytes(registry: Registry) -> int:
    """Return how much the S3 server of a registry has stored."""
    files = (
        Path(above, name) for above, _, names in os.walk(registry.s3.directory) for name in names
    )
    return sum(file.stat().st_size for file in files)


async def test_other_machines_pull_an_image_by_its_digest(
    images: DockerImages, registry: Registry
) -> None:
    """With a password that allows nothing else; an image that is removed is not there for them."""
    found = await built(images, FIRST)
    reference = images.container(digest(FIRST))
    other = f"{registry.push}/{NETWORK}/other:1"
    daemon().docker("tag", reference, other)
    with pytest.raises(subprocess.CalledProcessError, match="1"):
        daemon().docker("--config", str(registry.machine_login), "push", other)
    lose(reference)
    refused = pulled(reference, None)
    accepted = pulled(reference, registry.machine_login)
    run = ("run", "--rm", "--network=none", reference, "cat", "/opt/environment/share/note")
    note = daemon().docker(*run).stdout
    names = await images.names()
    there = status(registry, reference)
    await images.remove(digest(FIRST))

    assert (found.state, found.reference) == (ImageState.READY, reference)
    assert reference.rpartition("@")[0] == f"{registry.pull}/{NETWORK}/{slot_image.tag()}"
    assert ("no basic auth credentials" in refused, accepted, note) == (True, "", "first")
    assert (names, there) == ([digest(FIRST)], HTTPStatus.OK)
    assert status(registry, reference) == HTTPStatus.NOT_FOUND
    assert (await images.find(digest(FIRST))).state is ImageState.ABSENT
    assert await images.names() == []


async def test_an_image_that_docker_has_lost_is_pulled(
    images: DockerImages,
) -> None:
    """It stays ready; a setup machine begins as it, and another build of it is none."""
    await built(images, FIRST)
    reference = images.container(digest(FIRST))
    lose(reference)

    lost = await images.find(digest(FIRST))
    await images.open(MACHINE, digest(FIRST))
    machine = await settled(images, MACHINE)
    await images.remove(MACHINE)
    lose(reference)
    await built(images, FIRST)
    log = await images.log(digest(FIRST), 0)

    assert (lost.state, machine.state) == (ImageState.READY, ImageState.READY)
    assert images.container(digest(FIRST)) == reference
    assert Engine(daemon().host).has(reference)
    assert b"=== pull the image from the registry" in log
    assert b"make the environment" not in log


async def test_a_registry_that_is_down_fails_what_is_new_only(
    images: DockerImages, registry: Registry, tmp_path: Path
) -> None:
    """The next build pushes what is built already, as does the first one with a registry."""
    await built(images, FIRST)
    alone = open_images(tmp_path, None)
    await built(alone, SECOND)
    before = stored_bytes(registry)
    registry.processes["push"].kill()
    down = await built(images, SECOND)
    also_down = await built(images, THIRD)
    running = images.container(digest(FIRST))
    registry.processes["push"].start()
    up = await built(images, SECOND)
    log = await images.log(digest(SECOND), 0)
    also_up = await built(images, THIRD)
    also_log = await images.log(digest(THIRD), 0)

    assert down.state is ImageState.FAILED
    assert down.problem.startswith("push the image to the registry: ")
    assert "connection refused" in down.problem
    assert Engine(daemon().host).has(running)
    assert (up.state, up.reference) == (ImageState.READY, images.container(digest(SECOND)))
    assert (also_down.problem, also_up.state) == (down.problem, ImageState.READY)
    assert b"make the environment" not in log + also_log
    # Layers of the base, of 100 MB, are there.
    assert stored_bytes(registry) - before < 20_000_000
    await alone.close()
