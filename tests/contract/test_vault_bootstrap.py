"""What bootstrap leaves in Vault: two mounts, and a token that may do what the server does."""

import asyncio
import dataclasses
import uuid
from pathlib import Path
from typing import Any

import pytest
from hvac.exceptions import Forbidden
from picloud_driver.secret.vault import VaultSecrets
from picloud_driver.stack import records
from picloud_driver.stack.addresses import VendorServer
from picloud_driver.stack.servers.vault import Token, Vault, access
from picloud_driver.vault.administrator import VaultAdministrator
from picloud_driver.vault.bootstrap import bootstrap, policy_name, token_policies
from picloud_driver.vault.client import VaultAccess, vault_client
from picloud_model.errors import Unavailable

from tests.contract.secret_adapters import VALUE, Mount
from tests.servers import running


@pytest.fixture
def root(vault_server: running.Vault) -> VaultAccess:
    """An administrator's access, and a mount that is not there yet."""
    mount = f"test-{uuid.uuid4().hex}"
    return VaultAccess(vault_server.address, vault_server.root_token, mount)


async def test_again_changes_nothing(root: VaultAccess) -> None:
    """A second bootstrap keeps what is there, makes a token, and leaves the first one good."""
    first = VaultSecrets(dataclasses.replace(root, token=bootstrap(root)))
    await first.put("a", VALUE)

    second = VaultSecrets(dataclasses.replace(root, token=bootstrap(root)))

    assert [await first.get("a"), await second.get("a")] == [VALUE, VALUE]
    for secrets in (first, second):
        await secrets.check()
        await secrets.close()


async def test_several_at_once(root: VaultAccess) -> None:
    """Bootstraps at once all answer a token that is good."""
    tokens = await asyncio.gather(*(asyncio.to_thread(bootstrap, root) for _ in range(4)))

    for token in tokens:
        secrets = VaultSecrets(dataclasses.replace(root, token=token))
        await secrets.check()
        await secrets.close()


async def test_the_mounts(root: VaultAccess) -> None:
    """They are KV version 2 and transit."""
    bootstrap(root)

    mounts = vault_client(root, 1).sys.list_mounted_secrets_engines()["data"]

    assert mounts[f"{root.mount}/"]["type"] == "kv"
    assert mounts[f"{root.mount}/"]["options"] == {"version": "2"}
    assert mounts[f"{root.mount}-transit/"]["type"] == "transit"


async def test_the_token(root: VaultAccess) -> None:
    """It is periodic, has its policies alone, and does not end with the administrator's."""
    made = vault_client(root, 1).auth.token.create(policies=["root"], ttl="1h")["auth"]
    token = bootstrap(dataclasses.replace(root, token=made["client_token"]))

    vault_client(root, 1).auth.token.revoke_accessor(made["accessor"])

    told = vault_client(dataclasses.replace(root, token=token), 1).auth.token.lookup_self()["data"]
    assert told["policies"] == [f"{root.mount}-api", f"{root.mount}-sources"]
    assert (told["period"], told["renewable"], told["orphan"]) == (32 * 24 * 3600, True, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("list", "{mount}/metadata/"),
        ("get", "{mount}/metadata/a"),
        ("get", "{mount}/config"),
        ("put", "{mount}/destroy/a"),
        ("get", "{mount}-transit/keys/a"),
        ("put", "{mount}-transit/encrypt/a"),
        ("get", "secret/data/a"),
        ("get", "sys/mounts"),
        ("get", "sys/raw/core"),
        ("get", "sys/policies/acl/{mount}-api"),
        ("put", "sys/seal"),
        ("list", "sys/leases/lookup/"),
        ("put", "sys/leases/revoke-prefix/pki"),
        ("put", "auth/token/create"),
        ("put", "auth/token/create-orphan"),
        ("get", "cubbyhole/a"),
    ],
)
async def test_the_token_may_do_nothing_else(mount_site: Mount, method: str, path: str) -> None:
    """It neither lists, nor sees other mounts, nor makes tokens, nor administers."""
    adapter: Any = vault_client(mount_site.access, 1).adapter

    with pytest.raises(Forbidden):
        adapter.request(method, f"/v1/{path.format(mount=mount_site.access.mount)}", json={})


async def test_a_mount_of_another_engine_is_reported(root: VaultAccess) -> None:
    """A path that is used for something else is left alone."""
    client = vault_client(root, 1)
    client.sys.enable_secrets_engine("kv", path=f"{root.mount}-transit", options={"version": "2"})

    with pytest.raises(Unavailable, match=f"{root.mount}-transit is used for something else"):
        bootstrap(root)


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"token": "wrong"}, "our token is wrong, expired or revoked"),
        ({"address": "http://127.0.0.1:1"}, "is it running and reachable"),
        ({"address": "nonsense"}, "check its address"),
        ({"ca_file": "/nowhere", "address": "https://127.0.0.1:1"}, "check its address and cert"),
    ],
)
async def test_what_is_wrong_is_reported(
    root: VaultAccess, changed: dict[str, str], advice: str
) -> None:
    """One sentence that says what to do."""
    with pytest.raises(Unavailable, match=advice):
        bootstrap(dataclasses.replace(root, **changed))


async def test_a_server_token_cannot_bootstrap(mount_site: Mount) -> None:
    """The server's token gives access to nothing else."""
    with pytest.raises(Unavailable, match="our token may not do that"):
        bootstrap(mount_site.access)


def test_a_token_from_before_there_were_sources_is_replaced(
    vault_server: running.Vault, tmp_path: Path
) -> None:
    """The first `picloud up` of this version makes one that can mint secrets; the next keeps it."""
    root = VendorServer(vault_server.address, vault_server.root_token)
    bootstrap(access(root))
    with VaultAdministrator(access(root)) as administrator:
        old = administrator.create_token([policy_name("picloud")])
    stack = tmp_path / "stack"
    stack.mkdir()
    records.write(stack / "vault.token.json", Token(root.address, old))

    made = Vault(tmp_path).adopt(root)
    kept = Vault(tmp_path).adopt(root)

    assert made.token not in (old, root.token)
    assert kept.token == made.token
    with VaultAdministrator(access(root)) as administrator:
        assert administrator.is_token_of(made.token, token_policies("picloud"))
        assert not administrator.is_token_of(old, token_policies("picloud"))
        assert administrator.revoke_tokens(token_policies("picloud"), made.token) >= 1
        assert not administrator.is_token_of(old, [policy_name("picloud")])
