"""What every secret store promises: the sentences of `SecretPort`, one test each."""

import asyncio
import logging
import multiprocessing
import secrets as entropy
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from picloud_driver.secret import SecretPort
from picloud_model.errors import PiCloudError, RequestRefused, TooLarge, Unavailable

from tests.contract.secret_adapters import VALUE, Site
from tests.polling import DEADLINE_S

KIB = 1024
NAMES = ["a", "users/a0000001/db"]
"""A name as the server's own secrets have it, and one of a user's."""
BAD_NAMES = ["", "/", "a/", "/a", "a//b", "..", "../a", "a.b", "a b", "a\n", "é", "a+b", "a" * 201]


def every_call(secrets: SecretPort, name: str) -> list[Callable[[], Awaitable[Any]]]:
    """Each method that takes a name, ready to be called with this one."""
    return [
        lambda: secrets.get(name),
        lambda: secrets.put(name, VALUE),
        lambda: secrets.get_or_create(name, lambda: VALUE),
        lambda: secrets.delete(name),
    ]


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
    """`get` returns None for a missing secret, even if its name is a part of another's."""
    await secrets.put("a/b", VALUE)

    assert [await secrets.get(name) for name in ("a", "b", "a/b/c")] == [None, None, None]


@pytest.mark.parametrize("name", NAMES)
async def test_put_overwrites(secrets: SecretPort, name: str) -> None:
    """A secret is written over whatever was there, the others stay."""
    await secrets.put(name, b"old")
    await secrets.put(f"{name}-b", VALUE)

    await secrets.put(name, b"new")

    assert (await secrets.get(name), await secrets.get(f"{name}-b")) == (b"new", VALUE)


@pytest.mark.parametrize("name", NAMES)
async def test_a_secret_is_made_once(secrets: SecretPort, name: str) -> None:
    """`get_or_create` makes and stores a secret where there is none, and else makes nothing."""
    assert await secrets.get_or_create(name, lambda: VALUE) == VALUE
    assert await secrets.get_or_create(name, lambda: pytest.fail("made twice")) == VALUE
    assert await secrets.get(name) == VALUE


async def test_a_failure_to_make_stores_nothing(secrets: SecretPort) -> None:
    """What `make` raises reaches the caller, and the next one may make the secret."""
    with pytest.raises(ZeroDivisionError):
        await secrets.get_or_create("a", lambda: bytes(1 // 0))

    assert await secrets.get_or_create("a", lambda: VALUE) == VALUE


@pytest.mark.parametrize("name", NAMES)
async def test_deleted_secrets_are_gone(secrets: SecretPort, name: str) -> None:
    """A deleted secret is None; deleting a missing one is not an error; it can be made anew."""
    await secrets.put(name, b"old")

    await secrets.delete(name)
    await secrets.delete(name)

    assert await secrets.get(name) is None
    assert await secrets.get_or_create(name, lambda: VALUE) == VALUE


async def test_a_later_process_finds_them(secret_site: Site, secrets: SecretPort) -> None:
    """What was put or made is there for a port opened later."""
    await secrets.put("a", VALUE)
    made = await secrets.get_or_create("b", lambda: entropy.token_bytes(32))

    later = secret_site.open()

    assert (await later.get("a"), await later.get("b")) == (VALUE, made)


def _make(secret_site: Site, start: Any, answers: Any) -> None:
    async def get_or_create() -> list[bytes]:
        secrets = secret_site.open()
        return [
            await secrets.get_or_create(f"made/{number}", lambda: entropy.token_bytes(16))
            for number in range(5)
        ]

    start.wait(DEADLINE_S)
    answers.put(asyncio.run(get_or_create()))


async def test_callers_at_once_get_the_same(secret_site: Site) -> None:
    """Callers in several processes, the store being new to all, get the same values."""
    spawn = multiprocessing.get_context("spawn")
    answers, start = spawn.Queue(), spawn.Barrier(4)
    callers = [spawn.Process(target=_make, args=(secret_site, start, answers)) for _ in range(4)]
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


async def certificate(
    secrets: SecretPort, valid_s: int = 60
) -> tuple[serialization.SSHCertificate, str]:
    """A certificate that was just signed, and the key that it is for."""
    private = Ed25519PrivateKey.generate().public_key()
    formats = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    key = private.public_bytes(*formats).decode()
    text = await secrets.sign_ssh(key, "a0000001-job-7", valid_s)
    signed = serialization.load_ssh_public_identity(text.encode())
    assert isinstance(signed, serialization.SSHCertificate)
    assert signed.public_key() == private
    return signed, key


async def test_certificates_name_one_principal_and_permit_little(secrets: SecretPort) -> None:
    """A certificate is signed by the authority for one principal and some seconds; it permits
    terminals and port forwarding only.
    """
    before = int(time.time())

    signed, _ = await certificate(secrets, 60)

    signed.verify_cert_signature()
    formats = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert signed.signature_key().public_bytes(*formats).decode() == await secrets.ssh_authority()
    assert signed.type is serialization.SSHCertificateType.USER
    assert signed.valid_principals == [b"a0000001-job-7"]
    assert signed.critical_options == {}
    assert sorted(signed.extensions) == [b"permit-port-forwarding", b"permit-pty"]
    assert before - 31 <= signed.valid_after <= before
    assert before + 60 <= signed.valid_before <= int(time.time()) + 60


async def test_the_ssh_authority_is_the_same_everywhere(
    secret_site: Site, secrets: SecretPort
) -> None:
    """Ports opened at any time name one authority, and one of another store is another one."""
    later = secret_site.open()

    assert await secrets.ssh_authority() == await later.ssh_authority()
    await later.close()


async def test_ping_answers(secrets: SecretPort) -> None:
    """`ping` returns while secrets can be read."""
    await secrets.ping()


@pytest.mark.parametrize("name", NAMES)
async def test_a_store_that_cannot_answer_is_unavailable(
    secret_site: Site, secrets: SecretPort, name: str
) -> None:
    """Every method raises `Unavailable`; no secret is said to be missing, none is made anew."""
    await secrets.put(name, VALUE)

    secret_site.make_unavailable()

    for call in (*every_call(secrets, name), secrets.ping):
        with pytest.raises(Unavailable):
            await call()


async def test_without_its_store_nothing_is_signed(secret_site: Site, secrets: SecretPort) -> None:
    """`Unavailable` says so in a sentence without the address of a request."""
    _, key = await certificate(secrets)

    secret_site.make_unavailable()

    for call in (lambda: secrets.sign_ssh(key, "a-job-1", 60), secrets.ssh_authority):
        with pytest.raises(Unavailable) as refused:
            await call()
        assert "/v1/" not in refused.value.message
