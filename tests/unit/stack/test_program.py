"""Where a vendor's program is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.servers.program import Program, find

if TYPE_CHECKING:
    from pathlib import Path

TEAPOT = Program(name="teapot", oldest=(1, 4, 0), get="https://teapot.example")


def install(path: Path, says: str = "", mode: int = 0o755) -> Path:
    """Write a program that prints its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(mode)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a user without any program."""
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_on_path_wins_when_it_is_new_enough(tmp_path: Path, environment: dict[str, str]) -> None:
    """An installed program is preferred."""
    path = install(tmp_path / "bin" / "teapot", "Teapot v1.10.0 (brown)")
    install(tmp_path / "cache" / "picloud" / "servers" / "teapot-2.0.0")

    assert find(TEAPOT, environment) == path


@pytest.mark.parametrize("says", ["Teapot v1.3.9", "Teapot, of no version"])
def test_the_cache_steps_in(tmp_path: Path, environment: dict[str, str], says: str) -> None:
    """It replaces one that is too old or prints no version; of several the newest, by number."""
    install(tmp_path / "bin" / "teapot", says)
    servers = tmp_path / "cache" / "picloud" / "servers"
    for name in ("teapot-1.3.0", "teapot-1.9.0", "teapot-1.10.0"):
        install(servers / name)
    install(servers / "teapot-1.11.0", mode=0o644)
    install(servers / "teapot-1.12.0.log", mode=0o644)

    assert find(TEAPOT, environment) == servers / "teapot-1.10.0"


def test_the_cache_lies_in_the_home_directory(tmp_path: Path) -> None:
    """Where XDG_CACHE_HOME says nothing."""
    path = install(tmp_path / ".cache" / "picloud" / "servers" / "teapot-1.4.0")

    assert find(TEAPOT, {"PATH": "", "HOME": str(tmp_path)}) == path


def test_a_missing_program_is_told_in_one_line(environment: dict[str, str]) -> None:
    """What is missing, where to get it, and the other way."""
    with pytest.raises(StackFault) as told:
        find(TEAPOT, environment)

    assert told.value.message == (
        "teapot 1.4.0 or newer is missing: get it from https://teapot.example, or run "
        "`make servers` in a checkout of PiCloud."
    )


def test_an_old_program_is_reported_as_well(tmp_path: Path, environment: dict[str, str]) -> None:
    """So that a user who has one knows why it is not used."""
    path = install(tmp_path / "bin" / "teapot", "v1.3.9")

    with pytest.raises(StackFault, match=rf"is missing \({path} is 1\.3\.9\)"):
        find(TEAPOT, environment)
