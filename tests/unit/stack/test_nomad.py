"""The Nomad of one machine: how it is configured, without one being started."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, cast

import pytest
from picloud_driver.scheduler.nomad.nodes import SLOTS_KEY, Nodes, Offer
from picloud_driver.stack.servers.nomad import Nomad
from picloud_model.core import CORE_TYPES

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_driver.nomad.gateway import NomadGateway

PORTS = {"http": 4646, "rpc": 4647, "serf": 4648}


def client(data: Path, slots: int) -> dict[str, Any]:
    """The part of the configuration that is about this machine."""
    nomad = Nomad(data, slots)
    nomad.directory.mkdir(parents=True)
    nomad.launch(PORTS)
    found: dict[str, Any] = json.loads((nomad.directory / "nomad.json").read_text())
    return dict(found["client"])


def test_slots_beyond_the_processors_are_placed(tmp_path: Path) -> None:
    """More slots than processors can be requested, of each core type."""
    slots = 4 * (os.cpu_count() or 1)
    told = client(tmp_path, slots)

    offer = Offer(
        core_types=frozenset(CORE_TYPES),
        slots=int(told["meta"][SLOTS_KEY]),
        mhz=told["cpu_total_compute"],
        memory_mb=10**9,
    )
    assert offer.slots == slots
    assert {name: offer.capacity(name) >= slots for name in CORE_TYPES} == dict.fromkeys(
        CORE_TYPES, True
    )


@pytest.mark.parametrize("slots", [1, os.cpu_count() or 1])
def test_processors_are_counted_by_nomad(tmp_path: Path, slots: int) -> None:
    """Where each slot has a processor, Nomad's own count of MHz holds."""
    assert "cpu_total_compute" not in client(tmp_path, slots)


@pytest.mark.parametrize(
    ("asked", "told", "memory_mb", "found"),
    [
        (4, 4, 10_000, (4, "")),
        (4, 4, 900, (3, "this machine has no memory for more")),
        (4, 2, 10_000, (2, "it was started so: picloud down, then up, decides anew")),
        (2, 4, 10_000, (4, "")),
    ],
)
def test_why_slots_are_fewer_is_reported(
    tmp_path: Path, asked: int, told: int, memory_mb: int, found: tuple[int, str]
) -> None:
    """A Nomad that runs already has the slots it was started with; that is not a lack of memory."""
    nodes = Nodes(cast("NomadGateway", None), "raw_exec", clock=lambda: 0.0)
    offer = Offer(core_types=frozenset(CORE_TYPES), slots=told, mhz=10**6, memory_mb=memory_mb)
    nodes.__dict__.update(_offers=[offer], _listed_at=0.0)
    nomad = Nomad(tmp_path, asked)

    nomad.read_capacity(nodes)

    assert (nomad.capacity, nomad.shortage) == found
