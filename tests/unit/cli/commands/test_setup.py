"""setup, and the options that choose a server."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest
from cloud._config import profile
from picloud import exits
from picloud.app import app
from typer.testing import CliRunner

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, problem
from tests.unit.sdk.http_server import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "pk_12ab_secret"


@pytest.fixture
def home(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the profiles; the environment names no server."""
    for name in ("URL", "API_KEY", "PROFILE"):
        monkeypatch.delenv(f"PICLOUD_{name}", raising=False)
    return tmp_path


@pytest.fixture
def url(server: FakeServer) -> Iterator[str]:
    """Where the fake server listens."""
    with served(server) as listening:
        yield listening


def kept(home: Path) -> profile.Profiles:
    """What the file holds."""
    return profile.read(home / "profiles.toml")


def test_setup_keeps_what_the_server_has_confirmed(
    run: Callable[..., Any], home: Path, url: str, server: FakeServer
) -> None:
    """One request, then a profile that only its owner can read."""
    outcome = run("setup", "--url", f"{url}/one", "--api-key", KEY)

    assert (outcome.exit_code, outcome.stdout) == (exits.OK, "")
    assert f"{url}/one knows this key" in outcome.stderr
    assert KEY not in outcome.stderr
    assert server.paths() == ["POST /v1/jobs/status"]
    assert kept(home).default == "default"
    assert kept(home).profiles["default"] == profile.Profile(f"{url}/one", KEY)
    assert stat.S_IMODE((home / "profiles.toml").stat().st_mode) == 0o600


def test_setup_takes_the_email_and_password_of_old_scripts(
    run: Callable[..., Any], home: Path, url: str
) -> None:
    """The key says whose account it is; neither is stored or shown."""
    account = ("-e", "me@example.org", "-p", "very secret")

    outcome = run("setup", *account, "--url", f"{url}/one", "--api-key", KEY)

    assert (outcome.exit_code, outcome.stdout) == (exits.OK, "")
    stored = (home / "profiles.toml").read_text() + outcome.stderr
    assert "very secret" not in stored
    assert "example.org" not in stored
    assert kept(home).profiles["default"] == profile.Profile(f"{url}/one", KEY)


def test_several_profiles(run: Callable[..., Any], home: Path, url: str) -> None:
    """Each under its name; the last one set up is the usual one unless that is not wanted."""
    run("setup", "--url", f"{url}/one", "--api-key", KEY)
    run("--profile", "work", "setup", "--url", f"{url}/two", "-a", KEY, "--no-default")
    run("setup", "--url", f"{url}/three", "-a", KEY, "--profile", "lab")

    found = kept(home)
    assert {name: each.url for name, each in found.profiles.items()} == {
        "default": f"{url}/one",
        "work": f"{url}/two",
        "lab": f"{url}/three",
    }
    assert found.default == "lab"


def test_setup_takes_what_the_environment_says(
    run: Callable[..., Any], home: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For machines without a terminal."""
    monkeypatch.setenv("PICLOUD_URL", f"{url}/one")
    monkeypatch.setenv("PICLOUD_API_KEY", KEY)
    monkeypatch.setenv("PICLOUD_PROFILE", "ci")

    assert run("setup").exit_code == exits.OK

    assert kept(home).profiles["ci"] == profile.Profile(f"{url}/one", KEY)


def test_a_key_can_come_from_standard_input(home: Path, url: str) -> None:
    """Where it shows in no list of processes."""
    arguments = ["setup", "--url", f"{url}/one", "--api-key", "-"]

    assert CliRunner().invoke(app, arguments, input=f"{KEY}\n").exit_code == exits.OK

    assert kept(home).profiles["default"].key == KEY


def test_a_key_the_server_does_not_know_is_not_kept(
    run: Callable[..., Any], home: Path, url: str, server: FakeServer
) -> None:
    """One line says what to do."""
    from picloud_model.errors import KeyRefused

    server.faults = [problem(KeyRefused(), 401)]

    outcome = run("setup", "--url", f"{url}/one", "--api-key", KEY)

    assert outcome.exit_code == exits.OTHER
    expected = "error: The server does not know this API key; check that you have copied all of it."
    assert outcome.stderr == f"{expected}\n"
    assert not (home / "profiles.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("setup",), exits.USAGE, "give --url"),
        (("setup", "--url", "nonsense"), exits.USAGE, "is not a valid server URL"),
        (("setup", "--url", "nonsense", "-a", KEY), exits.USAGE, "is not a valid server URL"),
        (("setup", "--url", "http://a.test", "-a", "a b"), exits.USAGE, "not a valid API key"),
        (
            ("setup", "--url", "http://a.test", "-a", KEY, "--profile", "a b"),
            exits.USAGE,
            "is not a valid profile name",
        ),
        (("--profile", "nowhere", "status", "1"), exits.OTHER, "no profile 'nowhere'"),
        (("--api-secretkey", "s", "status", "1"), exits.USAGE, "needs --api-key"),
        (
            ("-o", "yaml", "status", "1"),
            exits.USAGE,
            "'yaml' is not a valid format",
        ),
    ],
)
def test_a_usage_error_is_one_line(
    run: Callable[..., Any], home: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """Without a terminal there is no prompt."""
    outcome = run(*arguments)

    assert outcome.exit_code == code
    assert message in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert not (home / "profiles.toml").exists()


def test_an_address_without_a_server_may_be_wrong(run: Callable[..., Any]) -> None:
    """The advice is not to run this very command."""
    outcome = run("setup", "--url", "http://127.0.0.1:9", "--api-key", KEY)

    assert "(Connection refused); check the address, or start one with `" in outcome.stderr


def test_the_address_is_looked_at_before_the_key(run: Callable[..., Any], url: str) -> None:
    """A key is worth nothing, and is not asked for, where no PiCloud server answers."""
    outcome = run("setup", "--url", f"{url}/one")

    assert outcome.exit_code == exits.OTHER
    assert "/one is not a PiCloud server; check the address." in outcome.stderr


def test_a_profile_decides_before_the_environment(
    home: Path, server: FakeServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option has precedence over the environment."""
    profile.write(home / "profiles.toml", "work", profile.Profile(url, KEY))
    monkeypatch.setenv("PICLOUD_URL", "http://one.test")
    monkeypatch.setenv("PICLOUD_API_KEY", "pk_other_secret")
    server.next_jid = 2

    assert CliRunner().invoke(app, ["--profile", "work", "status", "1"]).exit_code == exits.OK

    assert [sent.headers["Authorization"] for sent in server.sent] == [f"Bearer {KEY}"]


def test_an_internal_error_is_one_line(run: Callable[..., Any]) -> None:
    """Only --debug shows a traceback."""
    with current_client(object()):
        quiet, debugged = run("status", "1"), run("--debug", "status", "1")

    assert quiet.exit_code == debugged.exit_code == exits.OTHER
    assert quiet.stderr.startswith("error: picloud failed with an internal error (AttributeError")
    assert len(quiet.stderr.splitlines()) == 1
    assert "Traceback" in debugged.stderr
