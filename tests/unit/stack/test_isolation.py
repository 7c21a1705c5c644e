"""Isolation: what is reported when a part of it is missing."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

import pytest
from picloud.stack.servers import isolation_lines
from picloud_driver.docker import firewall, machine
from picloud_driver.docker.engine import Network
from picloud_driver.stack import isolation
from picloud_driver.stack.addresses import (
    Addresses,
    Bucket,
    Containers,
    VendorServer,
    registry_of,
    slots_of,
)
from picloud_driver.stack.isolation import NotIsolated, SlotIsolation
from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from pathlib import Path

NETWORK = Network("picloud-1", "pc1", "172.18.0.1")


def test_without_a_dockerd_slots_are_not_isolated(tmp_path: Path) -> None:
    """The reason names what is missing and at which address."""
    host = f"unix://{tmp_path}/docker.sock"

    result = isolation.detect(tmp_path, host, {})

    assert result == NotIsolated(f"no dockerd answers at {host}: start one")


def test_a_dockerd_elsewhere_does_not_isolate_here(tmp_path: Path) -> None:
    """Nomad's tasks run on this machine."""
    result = isolation.detect(tmp_path, "tcp://10.0.0.1:2375", {})

    assert result == NotIsolated("the dockerd at tcp://10.0.0.1:2375 is on another machine")


def test_an_image_has_to_fit_this_python(tmp_path: Path) -> None:
    """An image cannot unpickle what another minor version of Python has packed."""
    host = f"unix://{tmp_path}/docker.sock"

    result = isolation.detect(tmp_path, host, {}, python=(3, 12))
    newer = isolation.detect(tmp_path, host, {}, python=(3, 13))

    assert result == NotIsolated("the images have Python 3.11 or 3.13, and this is Python 3.12")
    assert newer == NotIsolated(f"no dockerd answers at {host}: start one")


def test_up_says_whether_jobs_are_isolated() -> None:
    """In words, with advice when they are not isolated, or not completely."""
    closed = SlotIsolation("unix:///s", "picloud/base:x", NETWORK)
    unfenced = " ".join(isolation_lines("", "iptables is not installed"))

    assert "isolated, and limited" in " ".join(isolation_lines("", closed.firewall_missing))
    assert "does not isolate" in " ".join(isolation_lines("no dockerd answers", ""))
    assert "no dockerd answers" in " ".join(isolation_lines("no dockerd answers", ""))
    assert "iptables is not installed" in unfenced


def test_containers_are_named_in_the_environment_of_the_api() -> None:
    """All of the variables or none; a part of them is an error that names the missing ones."""
    servers = {
        name: VendorServer(f"http://{name}") for name in ("consul", "vault", "nomad", "nats")
    }
    vault = {"vault": VendorServer("http://vault", "token")}
    slots = Containers("picloud/base:x", "picloud-1", "172.18.0.1", gateway_ports="10001,10002")
    addresses = Addresses(**(servers | vault), s3=Bucket("http://s3", "box"), slots=slots)

    assert Addresses.read(addresses.environment()).slots == slots
    assert slots.ports() == [10001, 10002]
    with pytest.raises(RequestRefused, match="PICLOUD_SLOT_GATEWAY_PORTS is '1,x'"):
        Containers("picloud/base:x", "picloud-1", "172.18.0.1", gateway_ports="1,x").ports()
    with pytest.raises(RequestRefused, match="PICLOUD_SLOT_HOST"):
        Addresses.read(addresses.environment() | {"PICLOUD_SLOT_HOST": ""})


def test_a_registry_is_named_in_the_environment_of_the_api() -> None:
    """Alone it says nothing of containers; docker would take some words for the public registry."""
    named = {
        "PICLOUD_SLOT_REGISTRY": "10.0.0.5:5000",
        "PICLOUD_SLOT_REGISTRY_PUSH": "registry.example.com/picloud",
        "PICLOUD_SLOT_REGISTRY_LOGIN": "/etc/picloud/login",
    }
    slots = {
        "PICLOUD_SLOT_IMAGE": "picloud/base:x",
        "PICLOUD_SLOT_NETWORK": "picloud-1",
        "PICLOUD_SLOT_HOST": "172.18.0.1",
    }
    isolation_of_up = SlotIsolation("unix:///s", "i", NETWORK, registry=registry_of(named))

    assert slots_of(named) is None
    assert slots_of(slots | named) == Containers(
        "picloud/base:x",
        "picloud-1",
        "172.18.0.1",
        registry="10.0.0.5:5000",
        registry_push="registry.example.com/picloud",
        registry_login="/etc/picloud/login",
    )
    assert isolation_of_up.containers().registry_push == "registry.example.com/picloud"
    for wrong in ("library", "https://r:1", "user/name", "r:port", "R:1"):
        with pytest.raises(RequestRefused, match=r"PICLOUD_SLOT_REGISTRY is '.*; give host:port"):
            registry_of({"PICLOUD_SLOT_REGISTRY": wrong})
    with pytest.raises(RequestRefused, match="PICLOUD_SLOT_REGISTRY is not set, but PICLOUD_SLOT_"):
        registry_of({"PICLOUD_SLOT_REGISTRY_LOGIN": "/etc/picloud/login"})


def test_slots_reach_the_nameservers_of_the_machine_at_the_port_of_dns_only() -> None:
    """Although they are in a private network, which slots do not reach otherwise."""
    lines = firewall.rules(NETWORK, [80], ["10.0.0.2"]).splitlines()

    beyond = [line.partition("-OUT ")[2] for line in lines if line.startswith("-A PICLOUD-pc1-OUT")]
    dropped = beyond.index("-d 10.0.0.0/8 -j DROP")
    assert beyond[1:dropped] == [
        "-d 10.0.0.2 -p udp --dport 53 -j RETURN",
        "-d 10.0.0.2 -p tcp --dport 53 -j RETURN",
    ]
    assert "-A PICLOUD-pc1-IN -d 10.0.0.2 -p udp --dport 53 -j ACCEPT" in lines
    assert lines.index("-A PICLOUD-pc1-IN -j DROP") > lines.index(
        "-A PICLOUD-pc1-IN -d 172.18.0.1 -p tcp --dport 80 -j ACCEPT"
    )


def test_slots_reach_the_api_on_another_machine_at_its_port_only() -> None:
    """Before the rule that drops what goes to its private network."""
    lines = firewall.rules(NETWORK, [], [], [("10.0.0.5", 8787)]).splitlines()

    reach = "-d 10.0.0.5 -p tcp --dport 8787"
    beyond = f"-A PICLOUD-pc1-OUT {reach} -j RETURN"
    assert lines.index(beyond) < lines.index("-A PICLOUD-pc1-OUT -d 10.0.0.0/8 -j DROP")
    assert f"-A PICLOUD-pc1-IN {reach} -j ACCEPT" in lines
    assert sum("10.0.0.5" in line for line in lines) == 2


@pytest.mark.parametrize("text", ["10.0.0.5", "api:8787", "10.0.0.5:0", "10.0.0.5:99999", "::1:1"])
def test_a_machine_is_given_addresses_only(text: str) -> None:
    """A name may have another address when the machine starts again."""
    with pytest.raises(ArgumentTypeError, match="is not an IPv4 address and a port"):
        machine.address(text)
