"""What keeps slots apart on this machine: docker's engine, an image, a network and a firewall."""

from __future__ import annotations

import contextlib
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import PiCloudError

from picloud_driver.docker import firewall
from picloud_driver.docker.engine import DEFAULT, Engine, Network
from picloud_driver.stack import image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PREFIX: Final = "picloud-"


class Cage(msgspec.Struct, frozen=True):
    """Where slots run as containers: whose engine, of which image, in which network.

    `leaks` says why the firewall is missing; "" when it is there.
    """

    host: str
    image: str
    network: Network
    leaks: str = ""

    def close(self, ports: Sequence[int]) -> None:
        """Let slots reach these ports of this machine and none beside them.

        Raises:
            Unavailable: When the firewall cannot be set up.
        """
        if not self.leaks:
            firewall.close(self.network, ports)


class Open(msgspec.Struct, frozen=True):
    """Slots are not isolated here; `why` is the end of a sentence."""

    why: str


def host(environment: Mapping[str, str]) -> str:
    """Where an environment says that dockerd listens.

    >>> host({})
    'unix:///var/run/docker.sock'
    """
    return environment.get("DOCKER_HOST") or DEFAULT


def find(data: Path, host: str) -> Cage | Open:
    """What there is for slots of a data directory on this machine; the network is made."""
    if sys.platform != "linux":
        return Open("this machine does not run Linux itself")
    if not host.startswith("unix://"):
        return Open(f"the dockerd at {host} is on another machine")
    if unfit := image.unfit():
        return Open(unfit)
    try:
        Engine(host).version()
    except PiCloudError:
        return Open(f"no dockerd answers at {host}: start one")
    return _made(Engine(host), data)


def _made(engine: Engine, data: Path) -> Cage | Open:
    name = image.reference()
    try:
        if not engine.has(name):
            return Open(f"docker lacks the image {name}: run `make images` in a checkout")
        found = engine.network(*_names(data))
    except PiCloudError as error:
        return Open(f"docker does not do its part: {error.message.rstrip('.')}")
    return Cage(engine.host, name, found, firewall.missing())


def remove(data: Path, host: str) -> None:
    """Remove the network of a data directory, what runs in it, and its firewall, if any."""
    name, interface = _names(data)
    if sys.platform == "linux":
        firewall.remove(interface)
    # A dockerd that does not run any more runs nothing in it.
    with contextlib.suppress(PiCloudError):
        Engine(host).clear(name)


def _names(data: Path) -> tuple[str, str]:
    """Of the network and its interface, which has 15 characters at most."""
    digest = sha256(str(data.resolve()).encode()).hexdigest()
    return f"{PREFIX}{digest[:12]}", f"pc{digest[:10]}"
