"""Isolation of slots on this machine: docker's engine, an image, a network and a firewall."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import PiCloudError

from picloud_driver import disk
from picloud_driver.docker import firewall
from picloud_driver.docker.engine import Engine, Network, machines_of
from picloud_driver.stack import image, records
from picloud_driver.stack.addresses import DEFAULT_DOCKER, Containers, registry_of
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.servers.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PREFIX: Final = "picloud-"
MOST_GATEWAYS: Final = 8
"""Gateways that slots can reach: each API process starts one when it is first needed."""


class SlotIsolation(msgspec.Struct, frozen=True):
    """How slots run as containers: the address of dockerd, the image, the network.

    `gateway_ports` are ports of this machine at which slots reach gateways. `firewall_missing` says
    why there is no firewall; "" if there is one. `registry` is what `Containers` has of a registry.
    """

    host: str
    image: str
    network: Network
    firewall_missing: str = ""
    gateway_ports: tuple[int, ...] = ()
    registry: Mapping[str, str] = {}

    def containers(self) -> Containers:
        """Return how the API makes slots of this isolation."""
        return Containers(
            image=self.image,
            network=self.network.name,
            host=self.network.gateway,
            docker=self.host,
            gateway_ports=",".join(map(str, self.gateway_ports)),
            **self.registry,
        )

    def restrict_to(self, ports: Sequence[int]) -> None:
        """Let slots reach these ports of this machine, those of gateways, and no others.

        Raises:
            Unavailable: When the firewall cannot be set up.
        """
        if not self.firewall_missing:
            firewall.close(self.network, [*ports, *self.gateway_ports])


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
    data: Path,
    host: str,
    environment: Mapping[str, str],
    python: tuple[int, int] = sys.version_info[:2],
) -> SlotIsolation | NotIsolated:
    """Find out whether this machine can isolate slots, and make their network if it can.

    Args:
        data: The data directory of the stack.
        host: The address of dockerd.
        environment: It may name a registry of images.
        python: The version of Python that packs functions.

    Raises:
        StackFault: When what names the registry is wrong.
    """
    if sys.platform != "linux":
        return NotIsolated("this machine does not run Linux itself")
    if not host.startswith("unix://"):
        return NotIsolated(f"the dockerd at {host} is on another machine")
    base = image.fitting(python)
    if base is None:
        return NotIsolated(image.unfit(python))
    try:
        Engine(host).version()
    except PiCloudError:
        return NotIsolated(f"no dockerd answers at {host}: start one")
    found = _with_network(Engine(host), data, image.reference(base.suite))
    if isinstance(found, NotIsolated):
        return found
    try:
        return msgspec.structs.replace(found, registry=registry_of(environment))
    except PiCloudError as error:
        raise StackFault(error.message) from error


def _with_network(engine: Engine, data: Path, name: str) -> SlotIsolation | NotIsolated:
    try:
        if not engine.has(name):
            return NotIsolated(f"docker lacks the image {name}: run `make images` in a checkout")
        network = engine.network(*_names(data))
    except PiCloudError as error:
        return NotIsolated(f"docker does not do its part: {error.message.rstrip('.')}")
    return SlotIsolation(
        host=engine.host,
        image=name,
        network=network,
        firewall_missing=firewall.missing(),
        gateway_ports=_gateway_ports(data),
    )


def _gateway_ports(data: Path) -> tuple[int, ...]:
    """Return the ports of the gateways of a data directory, which keep those of its first start."""
    file = data / "stack" / "gateway_ports"
    with records.disk_faults(file):
        text = file.read_text() if file.exists() else ""
        if not text.endswith("\n"):  # it is new, or was being written when the machine went down
            text = ",".join(map(str, free_ports(MOST_GATEWAYS))) + "\n"
            disk.private_directory(file.parent)
            file.write_text(text)
        return tuple(int(port) for port in text.split(","))


def remove(data: Path, host: str) -> None:
    """Remove the network of a data directory with its slots and its firewall, if any.

    Setup machines are stopped: what was changed in them is not lost.
    """
    name, interface = _names(data)
    if sys.platform == "linux":
        firewall.remove(interface)
    # If dockerd is not running, no container is.
    with contextlib.suppress(PiCloudError):
        Engine(host).clear(name, kept=machines_of(name))


def _names(data: Path) -> tuple[str, str]:
    """Return the names of the network and of its interface, which has at most 15 characters."""
    digest = sha256(str(data.resolve()).encode()).hexdigest()
    return f"{PREFIX}{digest[:12]}", f"pc{digest[:10]}"
