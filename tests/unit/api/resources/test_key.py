"""`/v1/keys`, `/v1/accounts`: API keys and accounts, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model import wire
from picloud_model.token import JobToken

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.key_owner import account_request, key_request

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi


async def test_a_key_is_created_listed_deactivated_and_activated(http: HttpApi) -> None:
    """Each address calls its use case for the key of the request."""
    made = await http.post("/v1/keys", key_request(), wire.KeyMade)
    name = wire.KeyIdRequest(id=made.key.split("_")[1])

    off = await http.post("/v1/keys/deactivate", name, wire.ListedKey)
    refused = await http.refusal("/v1/keys/list", wire.KeysRequest(), made.key)
    on = await http.post("/v1/keys/activate", name, wire.ListedKey)
    listed = await http.post("/v1/keys/list", wire.KeysRequest(), wire.KeysListed, made.key)

    assert (off.active, refused, on.active) == (False, (401, "key.refused"), True)
    assert {key.id: key.own for key in listed.keys}[name.id]


async def test_an_account_is_created_with_its_first_key(http: HttpApi) -> None:
    """The new key opens the new account, which may not administer others."""
    made = await http.post("/v1/accounts", account_request("second"), wire.KeyMade)

    listed = await http.post("/v1/accounts/list", wire.AccountsRequest(), wire.AccountsListed)
    refused = await http.refusal("/v1/accounts/list", wire.AccountsRequest(), made.key)

    assert [account.name for account in listed.accounts] == ["main", "second"]
    assert listed.accounts[1].id == made.account
    assert refused[0] == 403


async def test_a_job_manages_no_keys(api: ApiHarness, http: HttpApi) -> None:
    """The token of a running job opens jobs and blobs only."""
    await api.submit(1)
    slot = await api.slot()
    await api.work(slot)
    key = api.use_cases.accounts.job_tokens.key_for(ACCOUNT, slot.number)
    token = JobToken(ACCOUNT, slot.number, 1, 1).signed(key)
    await http.post("/v1/jobs/status", wire.JobsRequest(jids=[(1, 1)]), wire.Statuses, token)

    for path, body in (("/v1/keys", key_request()), ("/v1/accounts", account_request())):
        assert (await http.refusal(path, body, token))[0] == 401
