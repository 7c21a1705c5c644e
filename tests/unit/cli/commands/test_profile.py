"""`picloud profile`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cloud._config import profile
from cloud._config.profile import Profile
from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.sdk.fake_server import FakeServer


@pytest.fixture
def file(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of two profiles; the environment chooses none."""
    for name in ("URL", "API_KEY", "PROFILE"):
        monkeypatch.delenv(f"PICLOUD_{name}", raising=False)
    path = tmp_path / "profiles.toml"
    profile.write(path, "local", Profile("http://local", "pk_1_hidden"))
    profile.write(path, "work", Profile("http://work", "pk_2_hidden"), default=False)
    return path


def test_profiles_are_listed_without_secrets(run: Callable[..., Any], file: Path) -> None:
    """By name, with a mark at the default one."""
    listed = run("profile", "list")

    assert [line.split("\t") for line in listed.stdout.splitlines()] == [
        ["name", "server", "key", "default"],
        ["local", "http://local", "1", "default"],
        ["work", "http://work", "2", ""],
    ]
    assert json.loads(run("profile", "list", "--json").stdout)[1] == {
        "name": "work",
        "url": "http://work",
        "key": "2",
        "default": False,
    }


def test_another_profile_can_be_the_default(run: Callable[..., Any], file: Path) -> None:
    """Without giving its address and key again."""
    outcome = run("profile", "use", "work")

    assert outcome.stderr == "Profile work is the default now; it names http://work.\n"
    assert profile.read(file).default == "work"


def test_a_variable_with_precedence_is_named(
    run: Callable[..., Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise `use` would seem to have no effect."""
    monkeypatch.setenv("PICLOUD_PROFILE", "local")

    assert "PICLOUD_PROFILE is set to local" in run("profile", "use", "work").stderr


def test_a_profile_is_shown(run: Callable[..., Any], file: Path) -> None:
    """The one in use unless another one is named, and never the secret."""
    used, named = run("profile", "show"), run("profile", "show", "work", "--json")

    assert used.stdout.splitlines()[:3] == [
        "profile  local (default)",
        "server   http://local",
        "key      1",
    ]
    assert json.loads(named.stdout)["url"] == "http://work"
    assert "hidden" not in used.stdout + named.stdout


def test_a_removed_profile_is_gone(run: Callable[..., Any], file: Path) -> None:
    """Without the default one, another one has to be chosen."""
    outcome = run("profile", "remove", "local")

    assert "Profile local is removed." in outcome.stderr
    assert "picloud profile use NAME" in outcome.stderr
    assert list(profile.read(file).profiles) == ["work"]
    assert run("profile", "show").exit_code == exits.USAGE


@pytest.mark.parametrize("command", ["use", "remove", "show"])
def test_an_unknown_profile_is_an_error(run: Callable[..., Any], file: Path, command: str) -> None:
    """The message names those that exist, and nothing is changed."""
    before = file.read_text()

    outcome = run("profile", command, "wrok")

    assert outcome.exit_code == exits.OTHER
    assert outcome.stderr == "error: There is no profile 'wrok'; there are: local, work.\n"
    assert file.read_text() == before


def test_no_profiles_are_no_error(run: Callable[..., Any], server: FakeServer) -> None:
    """The message says what writes them."""
    assert "No profiles; `picloud up`" in run("profile", "list").stderr
