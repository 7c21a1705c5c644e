"""The servers of the HashiCorp stack: whether each runs, and whether the API can use it."""

from __future__ import annotations

import datetime as dt
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from picloud_jobspecs.render import Driver
from picloud_model.errors import PiCloudError

from picloud_driver.authority import Authority
from picloud_driver.nomad.gateway import NomadGateway
from picloud_driver.scheduler.nomad.nodes import Nodes
from picloud_driver.stack.addresses import nomad_of, slots_of
from picloud_driver.stack.doctor.finding import Finding
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.hashicorp import TOOLS
from picloud_driver.stack.servers.consul import Consul
from picloud_driver.stack.servers.nats import Nats, fewer_copies
from picloud_driver.stack.servers.nomad import Nomad, access
from picloud_driver.stack.servers.program import find, version_of
from picloud_driver.stack.servers.s3 import S3
from picloud_driver.stack.servers.stack_server import CLIENT
from picloud_driver.stack.servers.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from picloud_driver.stack.servers.stack_server import StackServer

_SOON: Final = dt.timedelta(days=30)
"""`picloud up` renews certificates long before."""


def examine(data: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Examine the servers of a stack with the addresses and tokens that the API has.

    Args:
        data: The data directory of the stack.
        environment: Addresses and tokens of external servers, and PATH.
    """
    servers: tuple[StackServer[Any], ...] = (
        Consul(data),
        Vault(data),
        S3(data),
        Nomad(data, 1),
        Nats(data),
    )
    own = _tools(data)
    # Each may take some seconds, until one that does not answer is given up.
    with ThreadPoolExecutor(len(servers), "doctor") as threads:
        yield from threads.map(lambda server: _server(server, environment, own), servers)
    yield from _certificates(data, servers)
    yield _isolation(environment, own)
    yield from _images(environment, own)


def images_finding(registry: str, machines: int) -> Finding:
    """Say whether the machines that run slots in containers can have the images of environments.

    Args:
        registry: From where they pull; "" if there is none.
        machines: How many there are.

    >>> images_finding("", 1).ok, images_finding("", 2).ok, images_finding("10.0.0.5:5000", 2).ok
    (True, False, True)
    """
    if registry:
        return Finding("images", f"machines pull those of environments from {registry}")
    if machines <= 1:
        return Finding("images", "in the Docker of one machine, which needs no registry")
    problem = (
        f"{machines} machines run slots, but there is no registry: jobs with _env start only on "
        "the machine that has built their environment. Name one in PICLOUD_SLOT_REGISTRY, as "
        "docs/how-to/registry.md says."
    )
    return Finding("images", problem, ok=False)


def _server(
    server: StackServer[Any], environment: Mapping[str, str], own: Mapping[str, str]
) -> Finding:
    """Use a server as the API does; `own` are the variables that name PiCloud's own servers."""
    try:
        address = server.configured(environment) or server.configured(own)
        is_own = address is None or server.is_own(address.address)
        if is_own and not server.record().is_running():
            return _down(server, environment)
        if address is None:
            return _problem(server, "its address is not in stack/environment: run picloud up again")
        began = time.monotonic()
        if isinstance(server, Nomad):
            isolated = slots_of(environment) or slots_of(own)
            driver = Driver.DOCKER if isolated else Driver.RAW_EXEC
            server.check(address, driver)
        else:
            server.check(address)
        if isinstance(server, Nats) and address.replicas and (fewer := fewer_copies(address)):
            return _problem(
                server,
                f"{len(fewer)} queues have fewer copies than the {address.replicas} of "
                "NATS_REPLICAS: run picloud admin bootstrap, which makes them",
            )
    except (StackFault, PiCloudError) as fault:
        log = f" Its log is {server.log}." if server.log.exists() else ""
        return Finding(server.name, f"{fault.message}{log}", ok=False)
    took = f"{(time.monotonic() - began) * 1000:.0f} ms"
    return Finding(server.name, f"{address.address} can be used ({took})")


def _down(server: StackServer[Any], environment: Mapping[str, str]) -> Finding:
    """Describe a server that does not run, and whether it could."""
    try:
        program = find(server.program, environment)
    except StackFault as fault:
        return Finding(server.name, fault.message, ok=False)
    version = ".".join(map(str, version_of(program, server.program.ask)))
    return _problem(server, f"it is not running; picloud up starts {program}, {version}")


def _problem(server: StackServer[Any], problem: str) -> Finding:
    return Finding(server.name, f"{problem}.", ok=False)


def _certificates(data: Path, servers: tuple[StackServer[Any], ...]) -> Iterator[Finding]:
    """Report the certificate of the stack's own servers and clients that expires first."""
    authority = Authority(data / "stack" / "tls")
    names = [CLIENT, *(server.name for server in servers if server.roles is not None)]
    ends = {name: end for name in names if (end := authority.expiry(name))}
    if not ends:
        return
    first = min(ends, key=lambda name: ends[name])
    day = f"{ends[first]:%d %B %Y}"
    if ends[first] - dt.datetime.now(dt.UTC) < _SOON:
        problem = f"that of {first} expires on {day}: run picloud up, which renews it"
        yield Finding("certificates", f"{problem}.", ok=False)
    else:
        yield Finding("certificates", f"valid until {day} at least")


def _isolation(environment: Mapping[str, str], own: Mapping[str, str]) -> Finding:
    if slots_of(environment) or slots_of(own):
        return Finding("isolation", "jobs are isolated in containers")
    return Finding("isolation", "jobs are not isolated: run only code that you trust")


def _images(environment: Mapping[str, str], own: Mapping[str, str]) -> Iterator[Finding]:
    """Examine whether other machines get images, if slots run in containers."""
    slots = slots_of(environment) or slots_of(own)
    nomad = nomad_of(environment) or nomad_of(own)
    if slots is None or nomad is None:
        return
    gateway = NomadGateway(access(nomad), connections=1)
    try:
        offers = Nodes(gateway, Driver.DOCKER).offers(fresh=True)
    except PiCloudError:
        return  # the line of Nomad says why
    finally:
        gateway.close()
    yield images_finding(slots.registry, sum(bool(each.core_types) for each in offers))


def _tools(data: Path) -> dict[str, str]:
    """Return the variables that `picloud up` has written for PiCloud's own servers."""
    try:
        lines = (data / "stack" / TOOLS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    words = (shlex.split(line)[1:] for line in lines if line.startswith("export "))
    return dict(word.split("=", 1) for pair in words for word in pair if "=" in word)
