"""What a server's command line and environment make of it."""

from __future__ import annotations

import sys

import pytest
from picloud_api.settings import read
from picloud_driver.stack.addresses import Addresses, Bucket, VendorServer

SERVERS = Addresses(
    consul=VendorServer("http://consul"),
    vault=VendorServer("http://vault", "token"),
    nomad=VendorServer("http://nomad"),
    s3=Bucket("http://s3", "box"),
)
HASHICORP = ["--data", "/tmp/d", "--stack", "hashicorp"]


def test_the_embedded_stack_has_no_servers() -> None:
    """Whatever the environment names."""
    assert read(["--data", "/tmp/d"], SERVERS.environment()).servers is None


def test_the_hashicorp_stack_is_named_by_the_environment() -> None:
    """Servers, processes, and how Nomad is to run slots."""
    told = {"PICLOUD_SLOT_PYTHON": "/opt/python", "PICLOUD_SLOT_USER": "worker"}

    found = read([*HASHICORP, "--processes", "4"], SERVERS.environment() | told)

    assert found.servers == SERVERS
    assert found.processes == 4
    assert (found.nomad.python, found.nomad.user) == ("/opt/python", "worker")


def test_slots_run_in_our_own_python_by_default() -> None:
    """The same interpreter, which has the same packages."""
    assert read(HASHICORP, SERVERS.environment()).nomad.python == sys.executable


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--data", "/tmp/d", "--processes", "2"], "The embedded stack is served by one process"),
        ([*HASHICORP, "--processes", "0"], "--processes takes 1 to 64"),
        (HASHICORP, "The hashicorp stack needs NOMAD_ADDR"),
    ],
)
def test_what_makes_no_sense_ends_it_with_a_sentence(arguments: list[str], told: str) -> None:
    """Before anything is opened."""
    with pytest.raises(SystemExit) as ended:
        read(arguments, SERVERS.environment(["consul", "vault", "s3"]))

    assert str(ended.value).startswith(told)
