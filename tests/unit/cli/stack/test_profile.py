"""The profile that names a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud._config import profile as profiles
from cloud._config.profile import Profile
from picloud.stack import profile

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND, WORK = (Profile(f"http://{name}", f"pk_{name}_x") for name in ("1", "2", "work"))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of profiles, which does not exist yet."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    return tmp_path / "profiles.toml"


def test_the_first_server_leaves_its_profile(file: Path) -> None:
    """The address of a server that has stopped is in the error of the next command."""
    before = profile.previous("local")
    assert len(profile.take("local", FIRST)) == 1

    profile.give_back(before, FIRST, pytest.fail, pytest.fail)

    assert profiles.read(file).chosen(None) == FIRST


def test_a_second_server_gives_back_profile_and_default(file: Path) -> None:
    """Both are reported."""
    profiles.write(file, "local", FIRST)
    profiles.write(file, "work", WORK)
    before, said = profile.previous("local"), list[str]()

    lines = profile.take("local", SECOND)
    taken = profiles.read(file)
    profile.give_back(before, SECOND, said.append, lambda _: True)

    assert "http://1" in lines[1]
    assert taken.chosen(None) == SECOND
    assert profiles.read(file) == profiles.Profiles({"local": FIRST, "work": WORK}, "work")
    assert said == ["Profile local names http://1 again.", "Profile work is the default again."]


def test_a_server_that_is_gone_is_said_to_be(file: Path) -> None:
    """Its profile is given back all the same: it may have the only copy of a key."""
    profiles.write(file, "local", FIRST)
    before, said = profile.previous("local"), list[str]()
    profile.take("local", SECOND)

    profile.give_back(before, SECOND, said.append, lambda _: False)

    assert profiles.read(file).chosen(None) == FIRST
    assert said == ["Profile local names http://1 again, but no server answers there now."]


def test_a_profile_that_was_changed_meanwhile_is_left_alone(file: Path) -> None:
    """It names a third server, which may run."""
    profiles.write(file, "local", FIRST)
    before = profile.previous("local")
    profile.take("local", SECOND)
    profiles.write(file, "local", WORK)

    profile.give_back(before, SECOND, pytest.fail, pytest.fail)

    assert profiles.read(file).chosen(None) == WORK


def test_another_name_is_not_the_default(file: Path) -> None:
    """A line says how to use it."""
    profile.take("local", FIRST)

    lines = profile.take("second", SECOND)

    assert "picloud --profile second" in lines[1]
    assert profiles.read(file).default == "local"
