"""The use cases of a server: one value for each room, made of that room's classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from picloud_api import usecases

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_each_room_is_a_value(api: ApiHarness) -> None:
    """`use_cases.<room>` exists for each folder, and each of its values is from that folder."""
    folder = Path(usecases.__file__).parent
    rooms = sorted(init.parent.name for init in folder.glob("*/__init__.py"))

    values = {room: vars(getattr(api.use_cases, room)) for room in rooms}

    assert all(values.values())
    for room, use_cases in values.items():
        modules = {type(use_case).__module__ for use_case in use_cases.values()}
        assert all(name.startswith(f"{usecases.__name__}.{room}.") for name in modules), modules
