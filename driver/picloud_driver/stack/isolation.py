"""Isolation of slots on this machine: docker's engine, an image, a network and a firewall."""

from __future__ import annotations

import contextlib
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import PiCloudError

from picloud_driver.docker import firewall
from picloud_driver.docker.engine import Engine, Network
from picloud_driver.stack import image
from picloud_driver.stack.addresses import DEFAULT_DOCKER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PREFIX: Final = "picloud-"


class SlotIsolation(msgspec.Struct, frozen=True):
    """How slots run as containers: the address of dockerd, the image, the network.

    `firewall_missing` says why there is no firewall; "" if there is one.
    """

    host: str
    image: str
    network: Network
    firewall_missing: str = ""

    def restrict_to(self, ports: Sequence[int]) -> None:
        """Let slots reach these ports of this machine and no others.

        Raises:
            Unavailable: When the firewall cannot be set up.
        """
        if not self.firewall_missing:
            firewall.close(self.network, ports)


class NotIsolated(msgspec.Struct, frozen=True):
    """Slots are not isolated here; `why` is the end of a sentence."""

    why: str


def docker_host(environment: Mapping[str, str]) -> str:
    """Return the address of dockerd according to an environment.

    >>> docker_host({})
    'unix:///var/run/docker.sock'
    """
    return environment.get("DOCKER_HOST") or DEFAULT_DOCKER


def detect(
    data: Path, host: str, python: tuple[int, int] = sys.version_info[:2]
) -> SlotIsolation | NotIsolated:
    """Find out whether this machine can isolate slots, and make their network if it can.

    Args:
        data: The data directory of the stack.
        host: The address of dockerd.
        python: The version of Python that packs functions.
    """
    if sys.platform != "linux":
        return NotIsolated("this machine does not run Linux itself")
    if not host.startswith("unix://"):
        return NotIsolated(f"the dockerd at {host} is on another machine")
    if unfit := image.unfit(python):
        return NotIsolated(unfit)
    try:
        Engine(host).version()
    except PiCloudError:
        return NotIsolated(f"no dockerd answers at {host}: start one")
    return _with_network(Engine(host), data)


def _with_network(engine: Engine, data: Path) -> SlotIsolation | NotIsolated:
    name = image.reference()
    try:
        if not engine.has(name):
            return NotIsolated(f"docker lacks the image {name}: run `make images` in a checkout")
        network = engine.network(*_names(data))
    except PiCloudError as error:
        return NotIsolated(f"docker does not do its part: {error.message.rstrip('.')}")
    return SlotIsolation(engine.host, name, network, firewall.missing())


def remove(data: Path, host: str) -> None:
    """Remove the network of a data directory with its containers and its firewall, if any."""
    name, interface = _names(data)
    if sys.platform == "linux":
        firewall.remove(interface)
    # If dockerd is not running, no container is.
    with contextlib.suppress(PiCloudError):
        Engine(host).clear(name)


def _names(data: Path) -> tuple[str, str]:
    """Return the names of the network and of its interface, which has at most 15 characters."""
    digest = sha256(str(data.resolve()).encode()).hexdigest()
    return f"{PREFIX}{digest[:12]}", f"pc{digest[:10]}"
