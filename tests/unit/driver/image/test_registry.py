"""A registry of images: what docker does for it, and the names of images there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_driver.image.build_log import BuildLog
from picloud_driver.image.build_step import BuildFailedError
from picloud_driver.image.containers.docker_build import BuildContainer
from picloud_driver.image.containers.registry import Registry
from picloud_model.errors import Unavailable

from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DIGEST = f"sha256:{'1' * 64}"
NAME = "localhost/picloud-1/bookworm-2:abc"
PLACE = "picloud-1/bookworm-2"
REGISTRY = Registry(address="10.0.0.5:5000/team", push="10.0.0.5:5001/team", login="/etc/login")


class RecordingClient(BuildContainer, frozen=True, kw_only=True):
    """Records the commands of docker, and prints what docker prints."""

    digests: str
    commands: list[tuple[Sequence[str], Mapping[str, str]]] = msgspec.field(default_factory=list)

    async def docker(
        self,
        what: str,
        arguments: Sequence[str],
        variables: Mapping[str, str] | None = None,
        *,
        shown: bool = False,
    ) -> bytes:
        del what, shown
        self.commands.append((arguments[:-1], variables or {}))
        return self.digests.encode()


def client(folder: Path, digests: str) -> RecordingClient:
    """Return a client whose docker has these digests of an image."""
    log = BuildLog(folder / "log")
    return RecordingClient(host="unix:///s", name="", log=log, folder=folder, digests=digests)


async def test_an_image_is_pushed_and_pulled_by_its_digest(tmp_path: Path) -> None:
    """Only these two commands get the passwords, as a directory; the digest is that of the push."""
    docker = client(tmp_path, f"other:1/a@sha256:0\n10.0.0.5:5001/team/{PLACE}@{DIGEST}\n\n")

    reference = await REGISTRY.publish(docker, NAME, PLACE)

    assert reference == f"10.0.0.5:5000/team/{PLACE}@{DIGEST}"
    login = {"DOCKER_CONFIG": "/etc/login"}
    words = [" ".join(arguments) for arguments, _ in docker.commands]
    assert [word.split(" --format")[0] for word in words] == [
        f"tag {NAME}",
        "push --quiet",
        "image inspect",
        "pull --quiet",
    ]
    assert [variables for _, variables in docker.commands] == [{}, login, {}, login]
    assert (tmp_path / "log").read_text().splitlines() == [
        "=== push the image to the registry",
        "=== pull the image from the registry",
    ]


async def test_an_image_without_a_digest_was_not_pushed(tmp_path: Path) -> None:
    """Then it is in no registry, and the build has failed."""
    anonymous = msgspec.structs.replace(REGISTRY, login="")
    docker = client(tmp_path, "")

    with pytest.raises(BuildFailedError, match="push the image to the registry: docker has no"):
        await anonymous.publish(docker, NAME, PLACE)
    assert [variables for _, variables in docker.commands] == [{}, {}, {}]


def test_an_image_is_deleted_where_it_was_pushed(tmp_path: Path) -> None:
    """With the password for that address; a registry that refuses keeps it."""
    answers = [ScriptedAnswer(status) for status in (202, 405)]
    with ScriptedServer(*answers) as server:
        host = server.url.removeprefix("http://")
        config = {"auths": {host: {"auth": "dXNlcjpwYXNz"}, "other:1": {}}}
        (tmp_path / "config.json").write_bytes(msgspec.json.encode(config))
        registry = Registry(address="10.0.0.5:5000/a", push=f"{host}/b", login=str(tmp_path))
        for _ in answers:
            registry.delete(f"10.0.0.5:5000/a/{PLACE}@{DIGEST}")

    assert server.requests == ["DELETE", "DELETE"]
    with pytest.raises(Unavailable, match=f"The registry at {host} does not answer"):
        registry.delete(f"10.0.0.5:5000/a/{PLACE}@{DIGEST}")
