"""Keys of endpoints: each calls one published function and opens nothing else."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.errors import KeyNotFound, KeyRefused, RequestConflict
from picloud_model.wire.application import APPLICATION
from picloud_model.wire.rest import (
    MAX_ENDPOINT_KEYS,
    EndpointKeyMade,
    EndpointKeysListed,
    ListedEndpointKey,
)

from picloud_api.engine.process.removal import is_repeated
from picloud_api.store.rest_record import EndpointAccess, EndpointKey, EndpointRecord, endpoint_key
from picloud_api.usecases.rest.found_endpoint import existing

if TYPE_CHECKING:
    from picloud_model.wire.rest import EndpointKeyRequest, RevokeEndpointKeyRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft


_NO_ACCESS: Final = EndpointAccess()


class EndpointKeys:
    """Makes, lists and revokes the keys of endpoints, and admits their callers.

    A key is derived from the request that creates it: a repeated request returns the same key, and
    no secret is stored.

    Args:
        context: What use cases share.
        pepper: The secret that keys are derived and hashed with.
    """

    def __init__(self, context: Context, pepper: bytes) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._seed = hmac.digest(pepper, b"keys of endpoints", sha256)

    async def create(self, account: str, request: EndpointKeyRequest) -> EndpointKeyMade:
        """Create a key of an endpoint.

        Raises:
            EndpointNotFound: When the account has no such endpoint.
            RequestConflict: When the endpoint has too many keys.
        """
        key, text = endpoint_key(account, request.label), f"{account}/{request.request_id}"
        name = f"r{self._derived('id', f'{text}/{request.label}').hex()[:12]}"
        derived = self._derived("secret", f"{text}/{request.label}")
        secret = base64.urlsafe_b64encode(derived).decode().rstrip("=")
        new = EndpointKey(name, self._digest(secret), self._clock())

        async def plan(draft: Draft) -> None:
            found = await draft.fresh(key)
            record = await existing(self._commits.view, account, found, request.label)
            keys = record.access.keys
            if name in {each.id for each in keys}:
                return
            if len(keys) >= MAX_ENDPOINT_KEYS:
                message = f"An endpoint has at most {MAX_ENDPOINT_KEYS} keys; revoke one."
                raise RequestConflict(message)
            draft.put(key, _with_keys(record, (*keys, new)))

        await self._commits.run(plan)
        return EndpointKeyMade(id=name, secret=secret)

    async def list(self, account: str, label: str) -> EndpointKeysListed:
        """Return the keys of an endpoint, the oldest first.

        Raises:
            EndpointNotFound: When the account has no such endpoint.
        """
        view = self._commits.view
        found = await view.fresh(endpoint_key(account, label))
        keys = (await existing(view, account, found, label)).access.keys
        return EndpointKeysListed(
            keys=[ListedEndpointKey(id=each.id, created_at=each.created_at) for each in keys]
        )

    async def revoke(self, account: str, request: RevokeEndpointKeyRequest) -> None:
        """Remove a key of an endpoint, at once. A repeated request changes nothing.

        Raises:
            EndpointNotFound: When the account has no such endpoint.
            KeyNotFound: When the endpoint has no such key.
        """
        label, name = request.label, request.key
        key = endpoint_key(account, label)

        async def plan(draft: Draft) -> None:
            if await is_repeated(draft, account, request.request_id):
                return
            record = await existing(self._commits.view, account, await draft.fresh(key), label)
            kept = tuple(each for each in record.access.keys if each.id != name)
            if len(kept) == len(record.access.keys):
                message = (
                    f"{label!r:.80} has no key {name!r:.40}; `picloud rest key list` shows them."
                )
                raise KeyNotFound(message, field="key")
            draft.put(key, _with_keys(record, kept))

        await self._commits.run(plan)

    async def is_public(self, account: str, label: str) -> bool:
        """Whether there is such an endpoint which everybody may call."""
        return (await self._access(account, label)).public

    async def is_public_app(self, account: str, label: str) -> bool:
        """Whether there is such an application which everybody may call."""
        record: EndpointRecord | None
        record = await self._commits.view.fresh(endpoint_key(account, label))
        return record is not None and record.access.public and record.out_encoding == APPLICATION

    async def origins(self, account: str, label: str) -> tuple[str, ...]:
        """Return the origins whose pages may read what an endpoint returns; none if it is missing.

        So pages of these origins can find out that the endpoint exists.
        """
        return (await self._access(account, label)).origins

    async def check(self, account: str, label: str, name: str, secret: str) -> None:
        """Check a key of an endpoint.

        Raises:
            KeyRefused: When the endpoint does not exist or has no such key: both look the same.
        """
        keys = (await self._access(account, label)).keys
        known = next((each.digest for each in keys if each.id == name), bytes(32))
        if not hmac.compare_digest(known, self._digest(secret)):
            raise KeyRefused

    async def _access(self, account: str, label: str) -> EndpointAccess:
        record: EndpointRecord | None
        record = await self._commits.view.fresh(endpoint_key(account, label))
        return _NO_ACCESS if record is None else record.access

    def _derived(self, what: str, text: str) -> bytes:
        return hmac.digest(self._seed, f"{what}/{text}".encode(), sha256)

    def _digest(self, secret: str) -> bytes:
        return self._derived("digest", secret)


def _with_keys(record: EndpointRecord, keys: tuple[EndpointKey, ...]) -> EndpointRecord:
    return replace(record, access=replace(record.access, keys=keys))
