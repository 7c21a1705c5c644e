"""What every secret store promises: the sentences of `SecretPort`, one test each.

A new adapter joins by a class like `File` in the list of sites.
"""

import asyncio
import logging
import multiprocessing
import os
import secrets as entropy
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography.fernet import Fernet
from picloud_driver.secrets import SecretPort
from picloud_driver.secrets.file import FileSecrets
from picloud_model.errors import PiCloudError, RequestRefused, TooLarge, Unavailable

from tests.contract.deadline import DEADLINE_S
from tests.contract.full_disk import file_size_limit

KIB = 1024
VALUE = b"canary-4f1b"
BAD_NAMES = ["", "/", "a/", "/a", "a//b", "..", "../a", "a.b", "a b", "a\n", "é", "a+b", "a" * 201]


class Site(Protocol):
    """Where the secrets of one test lie; it can be sent to another process."""

    def open(self) -> SecretPort:
        """A port as a process makes it that has just begun."""

    def break_off(self) -> None:
        """Make the store unable to answer."""


class File:
    """The adapter `file`."""

    def __init__(self, scratch: Path) -> None:
        self.root = scratch / "secrets"

    def open(self) -> SecretPort:
        """A port on the directory."""
        return FileSecrets(self.root)

    def break_off(self) -> None:
        """Take the directory away, as when a disk is unmounted."""
        self.root.rename(self.root.with_name("unmounted"))


@pytest.fixture(params=[File])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """An empty store of each kind."""
    made: Site = request.param(tmp_path)
    return made


@pytest.fixture
async def secrets(site: Site) -> AsyncIterator[SecretPort]:
    """A port on an empty store of each kind."""
    opened = site.open()
    yield opened
    await opened.close()


def every_call(secrets: SecretPort, name: str) -> list[Callable[[], Awaitable[Any]]]:
    """Each method that takes a name, ready to be called with this one."""
    return [
        lambda: secrets.get(name),
        lambda: secrets.put(name, VALUE),
        lambda: secrets.get_or_create(name, lambda: VALUE),
        lambda: secrets.delete(name),
    ]


# --- the contract ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "bootstrap/key", "users/a0000001/AWS_KEY-2", "x" * 200])
async def test_good_names_hold_secrets(secrets: SecretPort, name: str) -> None:
    """Parts of letters, digits, `-` and `_` name a secret."""
    await secrets.put(name, VALUE)

    assert await secrets.get(name) == VALUE


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_other_names_are_refused(secrets: SecretPort, name: str) -> None:
    """Every method that takes a name refuses another one with `RequestRefused`."""
    for call in every_call(secrets, name):
        with pytest.raises(RequestRefused):
            await call()


@pytest.mark.parametrize("value", [b"", b"\x00\xff", b"v" * 64 * KIB])
async def test_values_are_any_bytes(secrets: SecretPort, value: bytes) -> None:
    """Values are bytes up to 64 KiB, empty ones included."""
    await secrets.put("put", value)

    assert await secrets.get("put") == value
    assert await secrets.get_or_create("made", lambda: value) == value
    assert await secrets.get("made") == value


async def test_longer_values_are_refused(secrets: SecretPort) -> None:
    """A value of more than 64 KiB is refused with `TooLarge`, and nothing is stored."""
    with pytest.raises(TooLarge):
        await secrets.put("a", bytes(64 * KIB + 1))
    with pytest.raises(TooLarge):
        await secrets.get_or_create("a", lambda: bytes(64 * KIB + 1))

    assert await secrets.get("a") is None


async def test_a_missing_secret_is_none(secrets: SecretPort) -> None:
    """`get` answers None where there is no secret of that name, be it a part of another's."""
    await secrets.put("a/b", VALUE)

    assert [await secrets.get(name) for name in ("a", "b", "a/b/c")] == [None, None, None]


async def test_put_overwrites(secrets: SecretPort) -> None:
    """A secret is written over whatever was there, the others stay."""
    await secrets.put("a", b"old")
    await secrets.put("b", VALUE)

    await secrets.put("a", b"new")

    assert (await secrets.get("a"), await secrets.get("b")) == (b"new", VALUE)


async def test_a_secret_is_made_once(secrets: SecretPort) -> None:
    """`get_or_create` makes and stores a secret where there is none, and else makes nothing."""
    assert await secrets.get_or_create("a", lambda: VALUE) == VALUE
    assert await secrets.get_or_create("a", lambda: pytest.fail("made twice")) == VALUE
    assert await secrets.get("a") == VALUE


async def test_a_failure_to_make_stores_nothing(secrets: SecretPort) -> None:
    """What `make` raises reaches the caller, and the next one may make the secret."""
    with pytest.raises(ZeroDivisionError):
        await secrets.get_or_create("a", lambda: bytes(1 // 0))

    assert await secrets.get_or_create("a", lambda: VALUE) == VALUE


async def test_deleted_secrets_are_gone(secrets: SecretPort) -> None:
    """A deleted secret is None; deleting a missing one is no error; it can be made anew."""
    await secrets.put("a", b"old")

    await secrets.delete("a")
    await secrets.delete("a")

    assert await secrets.get("a") is None
    assert await secrets.get_or_create("a", lambda: VALUE) == VALUE


async def test_a_later_process_finds_them(site: Site, secrets: SecretPort) -> None:
    """What was put or made is there for a port opened later."""
    await secrets.put("a", VALUE)
    made = await secrets.get_or_create("b", lambda: entropy.token_bytes(32))

    later = site.open()

    assert (await later.get("a"), await later.get("b")) == (VALUE, made)


def _make(site: Site, start: Any, answers: Any) -> None:
    async def get_or_create() -> list[bytes]:
        secrets = site.open()
        return [
            await secrets.get_or_create(f"made/{number}", lambda: entropy.token_bytes(16))
            for number in range(5)
        ]

    start.wait(DEADLINE_S)
    answers.put(asyncio.run(get_or_create()))


async def test_callers_at_once_get_the_same(site: Site) -> None:
    """Callers in several processes, the store being new to all, get the same values."""
    spawn = multiprocessing.get_context("spawn")
    answers, start = spawn.Queue(), spawn.Barrier(4)
    callers = [spawn.Process(target=_make, args=(site, start, answers)) for _ in range(4)]
    for caller in callers:
        caller.start()

    told = [await asyncio.to_thread(answers.get, timeout=DEADLINE_S) for _ in callers]
    for caller in callers:
        await asyncio.to_thread(caller.join, DEADLINE_S)

    assert [caller.exitcode for caller in callers] == [0] * 4
    assert told == [told[0]] * 4
    assert len(set(told[0])) == 5


async def test_tasks_at_once_get_the_same(secrets: SecretPort) -> None:
    """Callers of one process get the same value, and puts at once lose none of each other."""
    made = await asyncio.gather(
        *(secrets.get_or_create("a", lambda: entropy.token_bytes(16)) for _ in range(8)),
    )
    await asyncio.gather(*(secrets.put(f"b/{number}", VALUE) for number in range(8)))

    assert len(set(made)) == 1
    assert [await secrets.get(f"b/{number}") for number in range(8)] == [VALUE] * 8


async def test_no_value_shows(
    secrets: SecretPort, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """No value appears in a message, a log line or the `repr` of the adapter."""
    caplog.set_level(logging.DEBUG)
    long = VALUE * 10_000
    await secrets.put("a", VALUE)

    with pytest.raises(PiCloudError) as refused:
        await secrets.put("a", long)

    shown = [repr(secrets), str(secrets), str(refused.value), caplog.text, *capfd.readouterr()]
    assert [text for text in shown if VALUE.decode() in text] == []


async def test_ping_answers(secrets: SecretPort) -> None:
    """`ping` answers while secrets can be read."""
    await secrets.ping()


async def test_a_store_that_cannot_answer_is_unavailable(site: Site, secrets: SecretPort) -> None:
    """Every method raises `Unavailable`; no secret is said to be missing, none is made anew."""
    await secrets.put("a", VALUE)

    site.break_off()

    for call in (*every_call(secrets, "a"), secrets.ping):
        with pytest.raises(Unavailable):
            await call()


# --- the file adapter alone -----------------------------------------------------------------------


def contents(root: Path) -> bytes:
    """All bytes of all files in a directory."""
    return b"".join(path.read_bytes() for path in root.iterdir())


def modes(root: Path) -> dict[str, str]:
    """The modes of a directory and of the files in it."""
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (root, *root.iterdir())}


async def test_files_are_the_servers_own(tmp_path: Path) -> None:
    """The directory has mode 0700 and each file in it 0600, whatever the umask."""
    before = os.umask(0)
    try:
        secrets = FileSecrets(tmp_path / "own")
        await secrets.put("a", VALUE)
    finally:
        os.umask(before)

    assert modes(tmp_path / "own") == {
        "own": "0o700",
        "lock": "0o600",
        "master.key": "0o600",
        "secrets": "0o600",
    }


async def test_the_file_shows_neither_value_nor_name(tmp_path: Path) -> None:
    """On disk there is nothing of a secret in the clear."""
    await FileSecrets(tmp_path).put("signing/pepper", VALUE)

    assert VALUE not in contents(tmp_path)
    assert b"pepper" not in contents(tmp_path)


async def test_a_given_key_is_not_kept(tmp_path: Path) -> None:
    """With a master key of the caller's no key file is made, and only that key opens the file."""
    key = Fernet.generate_key()
    await FileSecrets(tmp_path, master_key=key).put("a", VALUE)

    assert key not in contents(tmp_path)
    assert not (tmp_path / "master.key").exists()
    assert await FileSecrets(tmp_path, master_key=key).get("a") == VALUE
    with pytest.raises(Unavailable, match="another master key"):
        FileSecrets(tmp_path, master_key=Fernet.generate_key())
    with pytest.raises(Unavailable, match=r"master\.key is missing"):
        FileSecrets(tmp_path)


@pytest.mark.parametrize("key", [b"short", b"\xff" * 44, b"=" * 44])
def test_a_malformed_key_is_refused(tmp_path: Path, key: bytes) -> None:
    """A key that is none is refused by a sentence that tells its form, but not the key."""
    with pytest.raises(Unavailable, match="URL-safe base64") as refused:
        FileSecrets(tmp_path, master_key=key)

    assert repr(key)[2:-1] not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
@pytest.mark.parametrize("name", ["secrets", "master.key"])
async def test_files_open_to_others_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    """A secrets or key file that others may use stops the server, with the command to mend it."""
    await FileSecrets(tmp_path).put("a", VALUE)
    (tmp_path / name).chmod(mode)

    with pytest.raises(Unavailable, match=f"chmod go= .*/{name}$"):
        FileSecrets(tmp_path)


def test_a_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    """So does a directory in which others could put files of theirs."""
    (tmp_path / "open").mkdir(mode=0o755)

    with pytest.raises(Unavailable, match=r"chmod go= .*/open$"):
        FileSecrets(tmp_path / "open")


@pytest.mark.parametrize("damage", [b"", b"garbage", b"gAAAAAB"])
async def test_a_damaged_file_is_refused(tmp_path: Path, damage: bytes) -> None:
    """A file that does not decrypt is refused at once and never overwritten."""
    opened = FileSecrets(tmp_path)
    await opened.put("a", VALUE)
    (tmp_path / "secrets").write_bytes(damage)

    with pytest.raises(Unavailable, match="is damaged"):
        await opened.get_or_create("a", lambda: b"new")
    with pytest.raises(Unavailable, match="is damaged"):
        FileSecrets(tmp_path)

    assert (tmp_path / "secrets").read_bytes() == damage


async def test_a_failed_write_keeps_the_old_secrets(tmp_path: Path) -> None:
    """When the new file cannot be written, the old one stays and no other is left."""
    secrets = FileSecrets(tmp_path)
    await secrets.put("a", VALUE)

    with file_size_limit(100), pytest.raises(Unavailable, match="raise the server's file"):
        await secrets.put("b", bytes(1000))

    assert (await secrets.get("a"), await secrets.get("b")) == (VALUE, None)
    assert sorted(modes(tmp_path)) == sorted([tmp_path.name, "lock", "master.key", "secrets"])
