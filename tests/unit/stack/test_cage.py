"""What is said of isolation where something that it takes is missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from picloud.stack.up import isolation
from picloud_driver.docker.engine import Network
from picloud_driver.stack import cage, image
from picloud_driver.stack.addresses import Addresses, Bucket, Containers, Server
from picloud_driver.stack.cage import Cage, Open
from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from pathlib import Path

NETWORK = Network("picloud-1", "pc1", "172.18.0.1")


def test_without_a_dockerd_slots_are_not_isolated(tmp_path: Path) -> None:
    """It is told what is missing, and where it was looked for."""
    host = f"unix://{tmp_path}/docker.sock"

    found = cage.find(tmp_path, host)

    assert found == Open(f"no dockerd answers at {host}: start one")


def test_a_dockerd_elsewhere_does_not_isolate_here(tmp_path: Path) -> None:
    """Nomad's tasks run on this machine."""
    found = cage.find(tmp_path, "tcp://10.0.0.1:2375")

    assert found == Open("the dockerd at tcp://10.0.0.1:2375 is on another machine")


def test_the_image_has_to_fit_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another minor version of Python has packed cannot be read in the image."""
    monkeypatch.setattr(image, "sys", SimpleNamespace(version_info=(3, 13, 1)))

    found = cage.find(tmp_path, f"unix://{tmp_path}/docker.sock")

    assert found == Open("the image has Python 3.11, and this is Python 3.13")


def test_it_is_said_plainly_whether_jobs_are_isolated() -> None:
    """In words, with what to do where they are not, or not quite."""
    closed = Cage("unix:///s", "picloud/base:x", NETWORK)
    unfenced = " ".join(isolation("", "iptables is not installed"))

    assert "isolated, and limited" in " ".join(isolation("", closed.leaks))
    assert "does not isolate" in " ".join(isolation("no dockerd answers", ""))
    assert "no dockerd answers" in " ".join(isolation("no dockerd answers", ""))
    assert "iptables is not installed" in unfenced


def test_containers_are_named_in_the_environment_of_the_api() -> None:
    """All of it or none; half of it is a mistake that is told."""
    servers = {name: Server(f"http://{name}") for name in ("consul", "vault", "nomad")}
    vault = {"vault": Server("http://vault", "token")}
    slots = Containers("picloud/base:x", "picloud-1", "172.18.0.1")
    found = Addresses(**(servers | vault), s3=Bucket("http://s3", "box"), slots=slots)

    assert Addresses.read(found.environment()).slots == slots
    with pytest.raises(RequestRefused, match="PICLOUD_SLOT_HOST"):
        Addresses.read(found.environment() | {"PICLOUD_SLOT_HOST": ""})
