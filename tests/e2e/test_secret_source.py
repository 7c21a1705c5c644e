"""`picloud admin secret-source`, and jobs that name one, on every stack."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING
from uuid import uuid4

import cloud
import pytest
from cloud import CloudException
from cloud._resources.secret_source import SecretSourceClient
from picloud_model.wire.secret_source import PutSecretSourceRequest

from tests.current_client import current_client
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stack_pki import stack_pki
from tests.polling import until
from tests.vault_pki import COMMON_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack
    from tests.vault_pki import VaultPki

DEFINED = (
    "--role", "jobs", "--parameter", f"common_name={COMMON_NAME}", "--all-accounts",
    "--variable", "SERIAL=serial_number", "--variable", "TLS_KEY=private_key",
)  # fmt: skip


@pytest.fixture(scope="module")
def pki(stack: Stack) -> Iterator[VaultPki | None]:
    """An authority in the stack's Vault; None where there is no Vault."""
    made = stack_pki(stack) if isinstance(stack, HashiCorpStack) else None
    yield made
    if made is not None:
        made.close()


@pytest.fixture
def source(client: Client, pki: VaultPki | None) -> Iterator[str]:
    """The name of a source of certificates; "" where there can be none."""
    if pki is None:
        yield ""
        return
    sources, name = SecretSourceClient(client.transport), f"tls-{uuid4().hex[:12]}"
    sources.put(
        PutSecretSourceRequest(
            name=name,
            path=pki.path,
            role="jobs",
            variables={"SERIAL": "serial_number", "TLS_KEY": "private_key"},
            parameters={"common_name": COMMON_NAME},
        )
    )
    with current_client(client):
        yield name
        if name in [each.name for each in sources.list()]:
            sources.remove(name)


def begun(folder: Path) -> list[str]:
    """Return the serial numbers that a job has written down, that of its first attempt first."""
    found = sorted(folder.glob("serial-*"), key=lambda path: path.stat().st_mtime)
    return [text for path in found if (text := path.read_text())]


@pytest.mark.parametrize("how", ["error", "killed", "lost"])
def test_a_secret_is_minted_for_a_job_and_revoked_with_it(
    source: str, pki: VaultPki | None, stack: Stack, how: str
) -> None:
    """It is made when the job begins, and revoked within 10 s however the job ends.

    After its slot was lost the job has another one, and is done.
    """
    if not source or pki is None:
        return

    def wait_for(signal: Path) -> None:
        import time

        while not signal.exists():
            time.sleep(0.01)

    def use(folder: Path) -> tuple[str, str]:
        (folder / f"serial-{os.getpid()}").write_text(os.environ["SERIAL"])
        wait_for(folder / "end")
        if folder.name.startswith("error"):
            raise ValueError
        return os.environ["SERIAL"], os.environ["TLS_KEY"][:30]

    folder = stack.shared / f"{how}-{uuid4().hex[:8]}"
    folder.mkdir(mode=0o777)
    before = pki.serials()
    blocker = cloud.call(wait_for, folder / "begin")
    jid = cloud.call(use, folder, _secrets=source, _depends_on=blocker)
    assert pki.serials() == before
    (folder / "begin").touch()
    (serial,) = until(lambda: begun(folder), "the job runs")
    assert not pki.is_revoked(serial)

    if how == "lost":
        lose_slot(stack, folder)
        _, second = until(lambda: len(begun(folder)) == 2 and begun(folder), "it runs again")
        until(lambda: pki.is_revoked(serial), "the first is revoked", 10.0)
        assert not pki.is_revoked(second)
        serial = second
    if how == "killed":
        cloud.kill(jid)
    else:
        (folder / "end").touch()
    cloud.join(jid, ignore_errors=True)
    until(lambda: pki.is_revoked(serial), "it is revoked", 10.0)
    if how == "lost":
        assert cloud.result(jid) == (serial, "-----BEGIN EC PRIVATE KEY-----")
    else:
        assert cloud.status(jid) == how


def lose_slot(stack: Stack, folder: Path) -> None:
    """Kill the processes of the slot that runs a job."""
    (pid,) = [int(path.name.removeprefix("serial-")) for path in folder.glob("serial-*")]
    (slot,) = [each for each in stack.slots() if pid in {at.pid for at in each.children(True)}]
    for process in [slot, *slot.children(recursive=True)]:
        process.kill()


def test_only_jobs_with_minted_secrets_wait_for_vault(
    source: str, pki: VaultPki | None, stack: Stack
) -> None:
    """While Vault is sealed others run, with a secret of the user, too; theirs begin afterwards."""
    if not source or pki is None or not isinstance(stack, HashiCorpStack):
        return
    own = f"own-{uuid4().hex[:12]}"
    cloud.secret.set(own, {"TOKEN": "one"})
    cloud.result(cloud.call(abs, 1))
    keys = json.loads((stack.data / "stack" / "vault.keys.json").read_text())
    pki.client.sys.seal()
    try:
        waiting = cloud.call(os.getenv, "SERIAL", _secrets=source)
        assert cloud.result(cloud.map(abs, range(4))) == [0, 1, 2, 3]
        assert cloud.result(cloud.call(os.getenv, "TOKEN", _secrets=own)) == "one"
        with pytest.raises(CloudException, match=r"[Vv]ault"):
            cloud.secret.set(own, {"TOKEN": "two"})
        assert cloud.status(waiting) in ("queued", "processing")
    finally:
        pki.client.sys.submit_unseal_key(keys["unseal_key"])

    assert cloud.result(waiting).count(":") > 8
    cloud.secret.set(own, {"TOKEN": "two"})
    assert cloud.result(cloud.call(os.getenv, "TOKEN", _secrets=own)) == "two"
    cloud.secret.remove(own)


def test_users_see_names_of_sources_alone(
    source: str, pki: VaultPki | None, client: Client, picloud: Callable[..., Exited]
) -> None:
    """Administrators see the role; a variable cannot be set twice; a removed source fails jobs."""
    if not source or pki is None:
        made = picloud("admin", "secret-source", "tls", "--path", "pki/issue", *DEFINED)
        assert made.code == 2
        assert made.err.startswith("error: Secrets can be minted for jobs with Vault only")
        return
    again = picloud("admin", "secret-source", source, "--path", pki.path, *DEFINED)
    assert (again.code, again.err) == (0, "")
    (listed,) = [each for each in cloud.secret.list() if each["name"] == source]
    assert (listed["minted"], listed["variables"]) == (True, ["SERIAL", "TLS_KEY"])
    shown = picloud("secret", "list").out
    assert "minted variables" in shown
    assert pki.mount not in shown
    (defined,) = json.loads(picloud("admin", "secret-sources", "--json").out)
    assert (defined["path"], defined["role"], defined["accounts"]) == (pki.path, "jobs", None)
    with pytest.raises(CloudException, match="cannot both set SERIAL in a job"):
        cloud.call(os.getenv, "SERIAL", _secrets=source, _os_env_vars={"SERIAL": "1"})

    assert picloud("admin", "remove-secret-source", source).code == 0
    with pytest.raises(CloudException, match=f"There is no secret '{source}' in your account"):
        cloud.call(os.getenv, "SERIAL", _secrets=source)
    again = picloud("admin", "remove-secret-source", source)
    assert again.code == 1
    assert "no secret source" in again.err
