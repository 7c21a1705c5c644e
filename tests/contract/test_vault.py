"""What the adapter `vault` does beyond the contract: versions, tokens, connections, outages."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import structlog
from picloud_driver.secret.vault import VaultSecrets
from picloud_driver.vault.bootstrap import bootstrap
from picloud_driver.vault.client import VaultAccess, vault_client
from picloud_model.errors import PiCloudError, Unavailable

from tests.contract.secret_adapters import VALUE, Mount
from tests.polling import DEADLINE_S, eventually
from tests.servers import running

OUTAGE_S = 30.0
"""In this time everybody has to hear that the server is away."""
BETWEEN_LOOKS_S = 0.05


@pytest.fixture
async def vault(mount_site: Mount) -> AsyncIterator[VaultSecrets]:
    """A port on an empty mount."""
    secrets = VaultSecrets(mount_site.access)
    yield secrets
    await secrets.close()


@pytest.fixture
def administrator(mount_site: Mount) -> Any:
    """A client that may do everything, to see and to change what the adapter may not."""
    return vault_client(dataclasses.replace(mount_site.access, token=mount_site.root_token), 1)


# --- versions -------------------------------------------------------------------------------------


async def test_delete_removes_all_versions(
    vault: VaultSecrets, mount_site: Mount, administrator: Any
) -> None:
    """What was written over goes as well."""
    mount = mount_site.access.mount
    for value in (b"one", b"two"):
        await vault.put("a", value)
    kept = administrator.secrets.kv.v2.read_secret_metadata("a", mount_point=mount)
    assert sorted(kept["data"]["versions"]) == ["1", "2"]

    await vault.delete("a")

    left = administrator.adapter.get(f"/v1/{mount}/metadata/a", raise_exception=False)
    assert left.status_code == 404


@pytest.mark.parametrize("how", ["delete_latest_version_of_secret", "destroy_secret_versions"])
async def test_a_secret_deleted_by_hand_is_made_anew(
    vault: VaultSecrets, mount_site: Mount, administrator: Any, how: str
) -> None:
    """A version that an operator deleted or destroyed does not count; of many makers one wins."""
    await vault.put("a", VALUE)
    versions = {"versions": [1]} if how.startswith("destroy") else {}
    remove = getattr(administrator.secrets.kv.v2, how)
    remove("a", mount_point=mount_site.access.mount, **versions)
    assert await vault.get("a") is None

    made = await asyncio.gather(
        *(vault.get_or_create("a", lambda at=at: b"%d" % at) for at in range(6))  # type: ignore[misc]
    )

    assert made == [made[0]] * 6
    assert await vault.get("a") == made[0]


@pytest.mark.parametrize("written", [{"value": "canary!"}, {"password": "canary"}, {"value": 3}])
async def test_what_others_wrote_is_reported(
    vault: VaultSecrets, mount_site: Mount, administrator: Any, written: dict[str, Any]
) -> None:
    """A secret in another form is refused by a sentence with its name, but nothing of it."""
    administrator.secrets.kv.v2.create_or_update_secret(
        "a", written, mount_point=mount_site.access.mount
    )

    for call in (lambda: vault.get("a"), lambda: vault.get_or_create("a", lambda: VALUE)):
        with pytest.raises(Unavailable, match="a was not written by the server") as refused:
            await call()
        assert "canary" not in str(refused.value)
        assert refused.value.__cause__ is None


async def test_version_1_is_reported(mount_site: Mount, administrator: Any) -> None:
    """A mount of KV version 1 is refused at the first write, and by bootstrap."""
    administrator.sys.enable_secrets_engine("kv", path=f"{mount_site.access.mount}-old")
    access = VaultAccess(
        mount_site.access.address, mount_site.root_token, f"{mount_site.access.mount}-old"
    )
    secrets = VaultSecrets(access)

    for call in (lambda: secrets.put("a", VALUE), lambda: secrets.get_or_create("a", bytes)):
        with pytest.raises(Unavailable, match="KV version 1: name a mount of version 2"):
            await call()
    with pytest.raises(Unavailable, match="used for something else: name another"):
        bootstrap(access)
    await secrets.close()


# --- the token ------------------------------------------------------------------------------------


async def with_token(mount: Mount, administrator: Any, **asked: Any) -> tuple[VaultSecrets, str]:
    """A port with a token of this kind, and the token's accessor."""
    made = administrator.auth.token.create_orphan(policies=[f"{mount.access.mount}-api"], **asked)
    access = dataclasses.replace(mount.access, token=made["auth"]["client_token"])
    return VaultSecrets(access), made["auth"]["accessor"]


async def test_a_token_is_renewed(mount_site: Mount, administrator: Any) -> None:
    """A token lives on past its end, for as long as the port is open."""
    secrets, accessor = await with_token(mount_site, administrator, period="2s")
    await secrets.put("a", VALUE)

    def end() -> str:
        return str(administrator.auth.token.lookup_accessor(accessor)["data"]["expire_time"])

    # It moves at the start and then each second: the third time the first end is over.
    ends = {end()}
    async with asyncio.timeout(DEADLINE_S):
        while len(ends) < 4:
            await asyncio.sleep(BETWEEN_LOOKS_S)
            ends.add(end())

    assert await secrets.get("a") == VALUE
    await secrets.check()
    await secrets.close()
    thread = secrets._renewal._thread
    assert thread is not None
    await eventually(lambda: not thread.is_alive(), "nothing is renewed any longer")


async def test_a_token_for_ever_needs_nothing(mount_site: Mount) -> None:
    """A token without an end is good, and no thread stays to renew it."""
    access = dataclasses.replace(mount_site.access, token=mount_site.root_token)
    secrets = VaultSecrets(access)

    with structlog.testing.capture_logs() as logs:
        await secrets.check()
        thread = secrets._renewal._thread
        assert thread is not None
        await eventually(lambda: not thread.is_alive(), "the thread ended")

    assert logs == []
    await secrets.close()


async def test_a_token_that_cannot_be_renewed_is_reported(
    mount_site: Mount, administrator: Any
) -> None:
    """`check` refuses it at the start; without the check, one line in the log says so."""
    secrets, _ = await with_token(mount_site, administrator, ttl="1h", renewable=False)
    sentence = r"our token ends in \d+ s and cannot be renewed: give the server a periodic one"

    with structlog.testing.capture_logs() as logs:
        with pytest.raises(Unavailable, match=sentence):
            await secrets.check()
        await secrets.put("a", VALUE)
        await eventually(lambda: bool(logs), "it was logged")

    assert [line["event"] for line in logs] == ["vault.token"]
    assert "cannot be renewed" in logs[0]["reason"]
    await secrets.close()


async def test_a_token_that_nears_its_longest_life_is_reported(
    mount_site: Mount, administrator: Any
) -> None:
    """When Vault grants less than before it is logged, and after the end calls say what to do."""
    secrets, _ = await with_token(mount_site, administrator, ttl="2s", explicit_max_ttl="3s")

    with structlog.testing.capture_logs() as logs:
        await secrets.check()
        await eventually(lambda: bool(logs), "it was logged")
        assert "for good: give the server a periodic one" in logs[0]["reason"]
        with pytest.raises(Unavailable, match="wrong, expired or revoked: give the server a new"):
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    await secrets.ping()
                    await asyncio.sleep(BETWEEN_LOOKS_S)

    await secrets.close()


async def test_nothing_of_a_token_shows(
    mount_site: Mount, capfd: pytest.CaptureFixture[str]
) -> None:
    """No `repr`, message or output has the token or its like."""
    access = dataclasses.replace(mount_site.access, token="hvs.canary")
    secrets = VaultSecrets(access)

    with pytest.raises(PiCloudError) as refused:
        await secrets.check()
    with pytest.raises(Unavailable):
        bootstrap(access)

    shown = [repr(secrets), repr(access), str(refused.value), *capfd.readouterr()]
    assert [text for text in shown if "canary" in text] == []
    await secrets.close()


# --- connections ----------------------------------------------------------------------------------


async def test_a_connection_is_kept(mount_site: Mount, administrator: Any) -> None:
    """Requests one after the other go over one connection; `close` closes it."""
    access = dataclasses.replace(mount_site.access, token=mount_site.root_token)
    secrets = VaultSecrets(access)
    port = int(access.address.rpartition(":")[2])

    def ours() -> set[int]:
        return {
            each.laddr.port
            for each in psutil.Process().net_connections("tcp4")
            if each.raddr and each.raddr.port == port and each.status == "ESTABLISHED"
        }

    others, seen = ours(), set()
    for number in range(10):
        await secrets.put(f"a/{number}", VALUE)
        await secrets.get(f"a/{number}")
        seen |= ours() - others
    await secrets.close()

    # Another one may be the renewal's, which looks at the token once.
    assert 1 <= len(seen) <= 2
    await eventually(lambda: not seen & ours(), "the connections were closed")


async def test_the_environment_decides_nothing(
    mount_site: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No address, token, certificate file or proxy is taken from the environment."""
    for name, value in {
        "VAULT_ADDR": "http://127.0.0.1:9",
        "VAULT_TOKEN": "another",
        "VAULT_CACERT": "/nowhere/ca.pem",
        "REQUESTS_CA_BUNDLE": "/nowhere/ca.pem",
        "CURL_CA_BUNDLE": "/nowhere/ca.pem",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    secrets = VaultSecrets(mount_site.access)

    await secrets.put("a", VALUE)

    assert await secrets.get("a") == VALUE
    await secrets.close()


# --- outages --------------------------------------------------------------------------------------


async def test_an_outage_ends_by_itself() -> None:
    """Away, then sealed, every call is `Unavailable` soon; after it the same port works."""
    with running.vault(on_disk=True) as server:
        token = bootstrap(VaultAccess(server.address, server.root_token))
        secrets = VaultSecrets(VaultAccess(server.address, token))
        await secrets.put("a", VALUE)

        server.process.kill()
        await _all_unavailable(secrets, "is it running and reachable?")
        server.process.start()
        await _all_unavailable(secrets, "it is sealed: run `vault operator unseal`")
        server.unseal()

        assert await secrets.get("a") == VALUE
        assert await secrets.get_or_create("b", lambda: b"made") == b"made"
        await secrets.check()
        await secrets.close()


async def _all_unavailable(secrets: VaultSecrets, advice: str) -> None:
    for call in (
        lambda: secrets.get("a"),
        lambda: secrets.put("b", VALUE),
        lambda: secrets.get_or_create("a", lambda: VALUE),
        lambda: secrets.delete("a"),
        secrets.ping,
        secrets.check,
    ):
        begun = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            await call()
        assert advice in refused.value.message
        assert time.monotonic() - begun < OUTAGE_S
