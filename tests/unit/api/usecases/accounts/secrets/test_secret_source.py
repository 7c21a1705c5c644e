"""Secret sources: administrators define them, for some accounts or for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from picloud_api.usecases.accounts.account import Holder
from picloud_api.usecases.accounts.secrets.secret_source import SecretSourceRecord
from picloud_model.errors import (
    AdministratorsOnly,
    NotFound,
    RequestConflict,
    RequestRefused,
    SecretSourceNotFound,
)
from picloud_model.wire.secret import SetSecretRequest
from picloud_model.wire.secret_source import MAX_SOURCES, PutSecretSourceRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.minting_secrets import CANARY, OWNER, MintingApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from picloud_api.store.draft import Draft

    from tests.unit.api.api_harness import ApiHarness

STRANGER = Holder("a0000002", "0" * 12)


@pytest.fixture
async def minting(tmp_path: Path) -> AsyncIterator[MintingApi]:
    """A server whose secret store mints."""
    started = MintingApi(tmp_path)
    await started.start()
    yield started
    await started.stop()


async def test_a_source_is_tried_when_it_is_defined(minting: MintingApi) -> None:
    """A secret is minted and revoked at once; no value of it is stored or listed."""
    await minting.define(parameters={"ttl": "1h"}, as_file=True)

    (role,) = minting.secrets.asked
    assert (role.path, role.name, role.parameters) == ("database/creds", "reports", {"ttl": "1h"})
    assert minting.secrets.leases == []
    (listed,) = (await minting.use_cases.accounts.secret_sources.list(OWNER)).sources
    assert (listed.name, listed.role, listed.as_file, listed.accounts) == (
        "db",
        "reports",
        True,
        None,
    )
    stored = b"".join([entry.value for entry in await minting.state.scan("")])
    assert b"reports" in stored
    assert CANARY.encode() not in stored


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variables": {}}, "at least one variable"),
        ({"variables": {"A=B": "user"}}, "'A=B' cannot name a variable"),
        ({"variables": {"A": "secret"}}, "has no field 'secret', but password, user"),
        ({"accounts": []}, "at least one account, or for all"),
    ],
)
async def test_what_cannot_be_a_source_is_refused(
    minting: MintingApi, fields: dict[str, Any], message: str
) -> None:
    """In a sentence that says what can; nothing is stored, and nothing stays valid."""
    with pytest.raises(RequestRefused, match=message):
        await minting.define(**fields)

    assert (await minting.use_cases.accounts.secret_sources.list(OWNER)).sources == []
    assert minting.secrets.leases == []


async def test_a_store_that_cannot_mint_refuses_the_source(minting: MintingApi) -> None:
    """With the reason; an account that does not exist is named."""
    minting.secrets.failure, minting.secrets.limit = RequestRefused("no such role"), 0

    with pytest.raises(RequestRefused, match="no such role"):
        await minting.define()
    with pytest.raises(NotFound, match="There is no account 'a9'"):
        await minting.define(accounts=["a9"])


async def test_only_administrators_define_sources(minting: MintingApi) -> None:
    """Others neither list nor remove them; a missing one is named."""
    await minting.define()
    sources = minting.use_cases.accounts.secret_sources
    request = PutSecretSourceRequest(name="x", path="a", role="b", variables={"A": "user"})

    with pytest.raises(AdministratorsOnly):
        await sources.put(STRANGER, request)
    with pytest.raises(AdministratorsOnly):
        await sources.list(STRANGER)
    with pytest.raises(AdministratorsOnly):
        await sources.remove(STRANGER, "db")
    with pytest.raises(SecretSourceNotFound, match="no secret source 'x'"):
        await sources.remove(OWNER, "x")
    await sources.remove(OWNER, "db")
    assert (await sources.list(OWNER)).sources == []


async def test_there_is_a_limit(minting: MintingApi) -> None:
    """200 sources a server; one of them may still be replaced."""
    await minting.define()
    (record,) = (await minting.server.context.commits.view.scan("secret_sources/")).values()

    async def fill(draft: Draft) -> None:
        for number in range(1, MAX_SOURCES):
            draft.put(f"{SecretSourceRecord.prefix}s{number}", record)

    await minting.server.context.commits.run(fill)
    with pytest.raises(RequestConflict, match="up to 200 secret sources"):
        await minting.define("more")
    await minting.define()


async def test_accounts_name_the_sources_that_they_may_use(minting: MintingApi) -> None:
    """A source of others is not listed, proposed or used; what the account has set comes first."""
    await minting.define("database")
    accounts = minting.use_cases.accounts
    await accounts.accounts.create("a0000002", "other")
    await minting.define("theirs", accounts=["a0000002"])

    (listed,) = (await accounts.secrets.list(ACCOUNT)).secrets
    assert (listed.name, listed.variables, listed.minted) == ("database", ["DB_PASSWORD"], True)
    with pytest.raises(RequestRefused, match=r"'datbase' .*; did you mean 'database'\?"):
        await minting.submit(1, secrets=["datbase"])
    with pytest.raises(RequestRefused, match="no secret 'theirs' in your account: set it first"):
        await minting.submit(1, secrets=["theirs"])
    with pytest.raises(RequestRefused, match="cannot both set DB_PASSWORD"):
        await minting.submit(1, secrets=["database"], os_env_vars={"DB_PASSWORD": "x"})
    await accounts.secrets.set(ACCOUNT, SetSecretRequest(name="database", values={"A": "own"}))
    slot, lease, _ = await minting.begin("database")
    assert await minting.read(slot, lease) == [{"A": "own"}]
    assert [each.minted for each in (await accounts.secrets.list(ACCOUNT)).secrets] == [False]


async def test_without_vault_there_are_no_sources(api: ApiHarness) -> None:
    """The embedded stack says so in one sentence."""
    request = PutSecretSourceRequest(name="x", path="a", role="b", variables={"A": "user"})

    with pytest.raises(RequestRefused, match=r"^Secrets can be minted .* with Vault only"):
        await api.use_cases.accounts.secret_sources.put(OWNER, request)
