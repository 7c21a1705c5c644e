"""Keys of endpoints: made, listed, checked and revoked."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from picloud_model.errors import (
    EndpointNotFound,
    KeyNotFound,
    KeyRefused,
    RequestConflict,
    TooManyCalls,
)
from picloud_model.wire.rest import (
    MAX_ENDPOINT_KEYS,
    EndpointKeyRequest,
    InvokeRequest,
    PublishRequest,
    RevokeEndpointKeyRequest,
)

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_model.wire.rest import EndpointKeyMade

    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"


async def publish(api: ApiHarness, label: str = "e", **changed: Any) -> None:
    """Publish a function that takes any arguments."""
    job = replace(api.request(1), kind="call")
    request = PublishRequest(label=label, takes_any=True, job=job, **changed)
    await api.use_cases.rest.endpoints.publish(ACCOUNT, request)


async def create(api: ApiHarness, label: str = "e", request_id: str = "") -> EndpointKeyMade:
    """Create a key."""
    request = EndpointKeyRequest(label=label, request_id=request_id or uuid.uuid4().hex)
    return await api.use_cases.rest.keys.create(ACCOUNT, request)


async def is_valid(
    api: ApiHarness, key: EndpointKeyMade, label: str = "e", account: str = ACCOUNT
) -> bool:
    """Whether a key calls an endpoint."""
    try:
        await api.use_cases.rest.keys.check(account, label, key.id, key.secret)
    except KeyRefused:
        return False
    return True


async def test_a_key_calls_one_endpoint(api: ApiHarness) -> None:
    """Neither another one of the account nor one of the same label elsewhere."""
    await publish(api)
    await publish(api, "other")

    key = await create(api)

    assert await is_valid(api, key)
    assert not await is_valid(api, key, "other")
    assert not await is_valid(api, key, "missing")
    assert not await is_valid(api, key, account=OTHER)
    assert not await is_valid(api, replace(key, secret=key.secret[:-1]))
    assert not await is_valid(api, replace(key, id="r" + "0" * 12))
    assert not await is_valid(api, replace(key, id="r" + "0" * 12, secret=""))


async def test_a_repeated_request_returns_the_same_key(api: ApiHarness) -> None:
    """For another label it is another key."""
    await publish(api)
    await publish(api, "other")

    first = await create(api, request_id="a" * 32)

    assert await create(api, request_id="a" * 32) == first
    assert (await create(api, "other", "a" * 32)).id != first.id
    assert [each.id for each in (await api.use_cases.rest.keys.list(ACCOUNT, "e")).keys] == [
        first.id
    ]
    assert first.secret not in repr(first)


async def test_a_revoked_key_is_refused_at_once(api: ApiHarness) -> None:
    """The others stay; one that does not exist cannot be revoked."""
    await publish(api)
    keys = [await create(api) for _ in range(2)]

    await api.use_cases.rest.keys.revoke(ACCOUNT, RevokeEndpointKeyRequest("e", keys[0].id))

    assert [await is_valid(api, each) for each in keys] == [False, True]
    with pytest.raises(KeyNotFound, match="'e' has no key"):
        await api.use_cases.rest.keys.revoke(ACCOUNT, RevokeEndpointKeyRequest("e", keys[0].id))


async def test_keys_stay_when_the_label_is_published_again(api: ApiHarness) -> None:
    """A rollback keeps them, too; when the endpoint is removed they end."""
    await publish(api)
    key = await create(api)

    await publish(api, public=True)
    assert await is_valid(api, key)
    await api.use_cases.rest.endpoints.rollback(ACCOUNT, "e", 1)
    assert await is_valid(api, key)
    await api.use_cases.rest.endpoints.remove(ACCOUNT, "e")
    await publish(api)
    assert not await is_valid(api, key)


async def test_a_rollback_does_not_change_who_may_call(api: ApiHarness) -> None:
    """An endpoint that was public once does not become so by going back; a publication says it."""
    await publish(api, public=True, calls_per_minute=5)
    endpoints, keys = api.use_cases.rest.endpoints, api.use_cases.rest.keys
    assert await keys.is_public(ACCOUNT, "e")

    await publish(api)

    for version in (1, 2):
        info = await endpoints.rollback(ACCOUNT, "e", version)
        assert (info.public, info.calls_per_minute) == (False, 0)
        assert not await keys.is_public(ACCOUNT, "e")


async def test_an_endpoint_has_a_bounded_number_of_keys(api: ApiHarness) -> None:
    """One more is refused; a repeat of the last one is not."""
    await publish(api)
    for number in range(MAX_ENDPOINT_KEYS):
        await create(api, request_id=f"{number:032x}")

    with pytest.raises(RequestConflict, match="at most 100 keys; revoke one"):
        await create(api)
    await create(api, request_id="0" * 32)


async def test_an_endpoint_that_does_not_exist_has_no_keys(api: ApiHarness) -> None:
    """Each operation says so."""
    keys = api.use_cases.rest.keys
    assert not await keys.is_public(ACCOUNT, "e")
    revoked = keys.revoke(ACCOUNT, RevokeEndpointKeyRequest("e", "r"))
    for refused in (create(api), keys.list(ACCOUNT, "e"), revoked):
        with pytest.raises(EndpointNotFound):
            await refused


async def test_the_rate_limit_is_that_of_the_url(api: ApiHarness) -> None:
    """Calls that the account makes itself are not limited, and are not counted."""
    await publish(api, calls_per_minute=2)

    async def invoke(*, is_limited: bool) -> None:
        request = InvokeRequest(label="e", submit_id=uuid.uuid4().hex, calls=[{}])
        await api.use_cases.rest.endpoints.invoke(ACCOUNT, request, is_limited=is_limited)

    for is_limited in (False, True, True, False):
        await invoke(is_limited=is_limited)
    with pytest.raises(TooManyCalls, match="2 calls a minute"):
        await invoke(is_limited=True)
