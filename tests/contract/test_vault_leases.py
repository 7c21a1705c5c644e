"""What the adapter `vault` mints for jobs: certificates of the engine pki, on a real Vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_driver.secret import SecretRole
from picloud_driver.secret.vault import VaultSecrets
from picloud_driver.vault.bootstrap import bootstrap
from picloud_model.errors import RequestRefused, Unavailable

from tests.vault_pki import COMMON_NAME, VaultPki, administrator_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.contract.secret_adapters import Mount

PARAMETERS = {"common_name": COMMON_NAME}


@pytest.fixture
def pki(mount_site: Mount) -> Iterator[VaultPki]:
    """An authority that the server may use."""
    made = VaultPki(administrator_of(mount_site.access, mount_site.root_token))
    yield made
    made.close()


@pytest.fixture
async def vault(mount_site: Mount) -> AsyncIterator[VaultSecrets]:
    """A port with the token that bootstrap makes."""
    secrets = VaultSecrets(mount_site.access)
    yield secrets
    await secrets.close()


async def test_what_is_minted_is_valid_until_it_is_revoked(
    vault: VaultSecrets, pki: VaultPki
) -> None:
    """Each time another one; no value is in its repr; revoking a second time is not an error."""
    role = SecretRole(pki.path, "jobs", PARAMETERS)
    one, two = await vault.mint(role), await vault.mint(role)

    assert one.fields["private_key"].startswith("-----BEGIN EC PRIVATE KEY-----")
    assert one.fields["private_key"] != two.fields["private_key"]
    assert (one.fields["expiration"].isdigit(), one.valid_s > 3500) == (True, True)
    assert "-----" not in repr(one)
    assert not pki.is_revoked(one.fields["serial_number"])
    for _ in range(2):
        await vault.revoke(one.lease)
    assert pki.is_revoked(one.fields["serial_number"])
    assert not pki.is_revoked(two.fields["serial_number"])


async def test_what_cannot_be_renewed_is_refused(vault: VaultSecrets, pki: VaultPki) -> None:
    """As certificates, which end at the time in them."""
    minted = await vault.mint(SecretRole(pki.path, "jobs", PARAMETERS))

    assert not minted.renewable
    with pytest.raises(RequestRefused, match="cannot be renewed"):
        await vault.renew(minted.lease)


async def test_a_right_that_is_missing_is_named(vault: VaultSecrets, pki: VaultPki) -> None:
    """With the rule and the policy; it counts at once, without a new token."""
    pki.forbid()
    role = SecretRole(pki.path, "jobs", PARAMETERS)
    rule = (
        f'path "{pki.path}/jobs" {{ capabilities = \\["update"\\] }} to the policy test-.*-sources'
    )

    with pytest.raises(RequestRefused, match=rule):
        await vault.mint(role)
    with pytest.raises(RequestRefused, match="read"):
        await vault.mint(SecretRole(pki.path, "jobs"))
    pki.allow()

    assert (await vault.mint(role)).lease


async def test_roles_that_cannot_be_used_are_refused(vault: VaultSecrets, pki: VaultPki) -> None:
    """One that is missing or refuses the parameters, and one whose secrets have no lease."""
    pki.add_role("unleased")
    pki.add_role("strict", allow_any_name=False, generate_lease=True)

    for name in ("missing", "strict"):
        with pytest.raises(RequestRefused, match=f"{name} cannot be used: is there such a role"):
            await vault.mint(SecretRole(pki.path, name, PARAMETERS))
    with pytest.raises(RequestRefused, match=r"no lease, .* set generate_lease=true"):
        await vault.mint(SecretRole(pki.path, "unleased", PARAMETERS))


async def test_nothing_is_minted_from_what_is_the_servers(
    vault: VaultSecrets, mount_site: Mount
) -> None:
    """Neither users' secrets nor tokens, whatever a policy allows; nothing is sent."""
    own = mount_site.access.mount
    for path in (f"{own}/data/users", f"{own}-ssh/sign", f"{own}-transit/x", "auth/token", "sys/x"):
        with pytest.raises(RequestRefused, match="no secrets can be minted from the mount"):
            await vault.mint(SecretRole(path, "create", PARAMETERS))


async def test_a_server_that_is_away_is_unavailable(
    mount_site: Mount, pki: VaultPki, vault: VaultSecrets
) -> None:
    """A wrong token is reported as that, and not as a missing rule."""
    await vault.mint(SecretRole(pki.path, "jobs", PARAMETERS))
    wrong = VaultSecrets(administrator_of(mount_site.access, "hvs.wrong"))

    for call in (
        wrong.mint(SecretRole(pki.path, "jobs", PARAMETERS)),
        wrong.renew("x/1"),
        wrong.revoke("x/1"),
    ):
        with pytest.raises(Unavailable, match="our token is wrong"):
            await call
    await wrong.close()


async def test_a_later_token_revokes_what_an_earlier_one_minted(
    vault: VaultSecrets, mount_site: Mount, pki: VaultPki
) -> None:
    """As after a start of the server with a new token."""
    minted = await vault.mint(SecretRole(pki.path, "jobs", PARAMETERS))
    root = administrator_of(mount_site.access, mount_site.root_token)
    later = VaultSecrets(administrator_of(mount_site.access, bootstrap(root)))

    await later.revoke(minted.lease)

    assert pki.is_revoked(minted.fields["serial_number"])
    await later.close()
