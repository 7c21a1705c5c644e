"""The file of profiles."""

from __future__ import annotations

import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._config import profile
from cloud._config.profile import Profile, Profiles
from cloud._config.settings import ClientSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path of the profiles of a test."""
    return profile.path(ClientSettings(config_dir=str(tmp_path / "config")))


def test_no_file_is_no_profiles(file: Path) -> None:
    """Before the first `picloud up` there is nothing, and that is not an error."""
    assert profile.read(file) == Profiles()
    assert profile.read(file).chosen(None) is None


def test_what_is_written_is_read(file: Path) -> None:
    """A profile keeps its URL and key; the one written last is the default."""
    profile.write(file, "local", Profile("http://127.0.0.1:8787", "pk_1_a"))
    profile.write(file, "work", Profile('http://x/"\\', "pk_2_b"))
    profile.write(file, "other", Profile("http://o", "k"), default=False)

    found = profile.read(file)

    assert found.default == "work"
    assert found.chosen(None) == Profile('http://x/"\\', "pk_2_b")
    assert found.chosen("local") == Profile("http://127.0.0.1:8787", "pk_1_a")
    assert tomllib.loads(file.read_text())["profiles"]["other"] == {"url": "http://o", "key": "k"}


def test_only_its_owner_may_read_it(file: Path) -> None:
    """Mode 0600, also if it was changed before, and no temporary file remains."""
    profile.write(file, "local", Profile("http://x", "k"))
    file.chmod(0o644)

    profile.write(file, "local", Profile("http://x", "k2"))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("name", ["", "a b", "../x", 'a"]', "x" * 41])
def test_names_are_simple(file: Path, name: str) -> None:
    """A name cannot break the file's form."""
    with pytest.raises(CloudException, match="not a valid profile name"):
        profile.write(file, name, Profile("http://x", "k"))


def test_values_are_printable(file: Path) -> None:
    """A line end in a value is refused, and leaves the old file whole."""
    profile.write(file, "local", Profile("http://x", "k"))

    with pytest.raises(CloudException, match="printable"):
        profile.write(file, "local", Profile("http://x\n", "k"))

    assert profile.read(file).chosen("local") == Profile("http://x", "k")


def test_an_unknown_profile_is_told_with_the_known(file: Path) -> None:
    """The message lists what there is."""
    profile.write(file, "local", Profile("http://x", "k"))

    with pytest.raises(CloudException, match=r"no profile 'prod'; there are: local"):
        profile.read(file).chosen("prod")


@pytest.mark.parametrize("text", ["[", "profiles = 3", "[profiles.a]\nurl = 1", "\xff"])
def test_a_broken_file_is_told(file: Path, text: str) -> None:
    """The message names the file, and what to do."""
    file.parent.mkdir(parents=True)
    file.write_text(text, "latin-1")

    with pytest.raises(CloudException, match=r"profiles\.toml cannot be read: .*remove it"):
        profile.read(file)


def test_keys_do_not_show() -> None:
    """A profile that lands in a log keeps its secret."""
    assert "pk_1_a" not in repr(Profile("http://x", "pk_1_a"))


def test_a_file_that_others_may_write_to_is_refused(file: Path) -> None:
    """Another user could send the jobs of this one to a server of their own."""
    profile.write(file, "local", Profile("http://127.0.0.1:8787", "pk_1_a"))
    file.chmod(0o666)

    with pytest.raises(CloudException, match="chmod 600"):
        profile.read(file)


def test_a_deeply_nested_file_is_malformed(file: Path) -> None:
    """No depth of the file is an error of another kind."""
    file.parent.mkdir(parents=True)
    file.write_text("a = " + "[" * 20_000)

    with pytest.raises(CloudException, match="cannot be read"):
        profile.read(file)


def test_the_default_can_be_changed_and_removed(file: Path) -> None:
    """Without the default one there is no default."""
    profile.write(file, "local", Profile("http://x", "k"))
    profile.write(file, "work", Profile("http://y", "k2"))

    assert profile.use(file, "local") == Profile("http://x", "k")
    assert profile.read(file).default == "local"
    assert profile.remove(file, "local") == Profile("http://x", "k")
    assert profile.read(file) == Profiles({"work": Profile("http://y", "k2")}, None)


def test_writers_at_the_same_time_lose_nothing(file: Path) -> None:
    """Each reads what the one before has written."""
    names = [f"server-{number}" for number in range(40)]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: profile.write(file, name, Profile("http://x", "k")), names))

    assert sorted(profile.read(file).profiles) == sorted(names)
