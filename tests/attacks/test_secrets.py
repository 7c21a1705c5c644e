"""Secrets of a running stack are in no argument, log, file, environment or message."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cloud import CloudException
from picloud_model import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.attacks.sender import Sender
    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import EmbeddedStack, Stack

KEY: Final = re.compile(rb"pk_[0-9a-f]{12}_[0-9A-Za-z_-]{40,64}")
JOB: Final = re.compile(rb"pj_[0-9a-z]+_[0-9a-f]+_[0-9]+_[0-9]+_[0-9a-f]{32}")
SLOT: Final = re.compile(rb"eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{20,}")


def bare(secret: bytes) -> bytes:
    """Return the secret part of a credential: of a key everything but its id."""
    return secret.split(b"_", 2)[2] if secret.startswith(b"pk_") else secret


@pytest.fixture(scope="module")
def used(sender: Sender, stack: Stack) -> set[bytes]:
    """Secrets of every kind, each of which was used, validly and invalidly, on this stack."""
    with contextlib.closing(stack.client()) as client:
        made = client.keys.create().key
        opened = client.keys.create_account("secrets").key
        client.result(client.map(abs, range(100)), 60)
        with contextlib.closing(stack.client(opened)) as theirs:
            theirs.status([])
        with contextlib.suppress(CloudException), contextlib.closing(stack.client(made)) as more:
            more.status(10**9)
    wrong = made[:-1] + ("A" if made[-1] != "A" else "B")
    for credential in (made, wrong, sender.slot):
        for path in ("/v1/jobs/status", "/v1/work", "/v1/nothing", "/v1/keys/list"):
            sender.send("POST", path, b"{", credential)
        sender.send("GET", f"/v1/blobs/{credential}", None, credential)
        sender.send("GET", f"/job/?jids={credential}", None, credential)
    return {
        secret.encode() for secret in (sender.key, sender.other, made, opened, wrong, sender.slot)
    }


def test_no_process_has_a_secret_in_its_arguments(used: set[bytes], stack: Stack) -> None:
    """Every user of a machine can read every command line."""
    lines = {}
    for process in stack.processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one that has ended
            lines[process.pid] = Path(f"/proc/{process.pid}/cmdline").read_bytes()

    assert lines
    for line in lines.values():
        assert not any(secret in line for secret in used), line
        assert not any(form.search(line) for form in (KEY, JOB, SLOT)), line


def test_nothing_that_is_stored_or_logged_has_a_key(
    used: set[bytes], sender: Sender, stack: EmbeddedStack
) -> None:
    """Records keep hashes of keys and tokens; logs contain neither."""
    looked = 0
    for file in [*stack.stored(), stack._log]:
        with contextlib.suppress(OSError):
            data = file.read_bytes()
            looked += 1
            leaked = {secret for secret in used if bare(secret) in data}
            # A slot's own token is known to its supervisor alone.
            assert leaked == set(), file
            assert JOB.search(data) is None, file

    assert looked > 3
    assert sender.key not in stack.faults()


def test_user_code_finds_no_secret_of_the_platform_in_its_environment(
    used: set[bytes], client: Client
) -> None:
    """The environment of a job has nothing of the platform except which job it is."""

    def look() -> tuple[dict[str, str], bytes, bytes]:
        own = Path("/proc/self")
        return dict(os.environ), (own / "environ").read_bytes(), (own / "cmdline").read_bytes()

    environment, born, line = client.result(client.call(look), 60)

    for text in (repr(environment).encode(), born, line):
        assert not any(secret in text for secret in used)
        assert not any(form.search(text) for form in (KEY, JOB, SLOT))
    harmful = ("TOKEN", "SECRET", "PASSWORD", "AWS_", "VAULT", "CONSUL", "NOMAD_")
    assert [name for name in environment if any(part in name for part in harmful)] == []


def test_no_message_tells_a_secret(
    used: set[bytes], picloud: Callable[..., Exited], stack: Stack
) -> None:
    """No output of the command contains a secret, even with --debug and in case of errors."""
    wrong = stack.key[:-1] + ("A" if stack.key[-1] != "A" else "B")
    for arguments in (
        ("-v", "status", "999999"),
        ("-v", "--debug", "status", "999999"),
        ("-v", "--debug", "--api-key", wrong, "status", "1"),
        ("-v", "key", "list"),
        ("account", "list"),
    ):
        done = picloud(*arguments)

        output = (done.out + done.err).encode()
        assert output
        assert not any(secret in output for secret in used), arguments
        assert wrong not in done.err


def test_a_repr_has_no_secret(sender: Sender, client: Client) -> None:
    """The repr of values with secrets, as in a log or a traceback, does not show them."""
    values = [
        client.address,
        wire.KeyMade(key=sender.key, account="a"),
        wire.SlotGranted(slot=1, token=sender.slot, account="a"),
    ]

    assert not any(sender.key in repr(value) or sender.slot in repr(value) for value in values)
