"""Accounts, and the check of the credential that a request sends."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets as entropy
from contextlib import suppress
from hashlib import blake2b, sha256
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_model.errors import AdministratorsOnly, KeyRefused
from picloud_model.token import PREFIX, JobToken
from picloud_model.wire.role import Role

from picloud_api.store import layout
from picloud_api.store.records import Account, Key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_driver.secret import SecretPort

    from picloud_api.store.commits import Commits
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.job_token import JobTokens

FIRST_ACCOUNT: Final = layout.FIRST_ACCOUNT
"""The account that the first start creates; the owners of its keys administer the others."""
KNOWN_S: Final = 2.0
"""How long a cached key is accepted while other processes write to the same store."""
_KEY: Final = re.compile(r"pk_([0-9a-f]{12})_([0-9A-Za-z_-]{40,64})")
BLUR_S: Final = 0.004
"""The longest random delay of the reply to a key that is refused."""
KEPT_DIGESTS: Final = 1000
"""Digests of secrets that are kept: each takes 7 us to make, and lets other threads go on first."""
_NO_KEY: Final = Key("", bytes(32), active=False, created_at=0.0)
"""Stands in for a key that does not exist, so that unknown ids take as long as known ones."""
_NO_KEY_BYTES: Final = layout.encode(_NO_KEY)
_random: Final = entropy.SystemRandom()


class Caller(NamedTuple):
    """The account a request comes from; the job that made it, or 0, and the token of that job.

    Without a job, it has the id of an API key, its role, and the name of the person it belongs to.
    """

    account: str
    jid: int = 0
    token: JobToken | None = None
    key: str = ""
    role: Role = Role.MEMBER
    person: str = ""


class Holder(NamedTuple):
    """The account and the id of the API key that a request sends, and what it may do there."""

    account: str
    key: str
    role: Role = Role.OWNER
    person: str = ""
    """The name of the person whose key it is; "" if that is not known."""


class _StoredKey(NamedTuple):
    """A key as it was stored at time `at`; its version is 0 if it was not."""

    record: Key
    version: int
    at: float


class Accounts:
    """Creates accounts, stores keys and authenticates callers."""

    def __init__(
        self,
        commits: Commits,
        pepper: bytes,
        clock: Callable[[], float],
        tokens: JobTokens | None = None,
    ) -> None:
        self.commits = commits
        self.clock = clock
        self._pepper = pepper
        self._digests: dict[bytes, bytes] = {}
        """Digests that were made lately, by a hash with a key that only this process knows: a
        secret itself is not kept."""
        self._hash = blake2b(key=entropy.token_bytes(32))
        self._tokens = tokens
        self._read_at: dict[str, float] = {}
        self._reading: dict[str, asyncio.Task[_StoredKey]] = {}

    async def authenticate(self, bearer: str) -> str:
        """Return the account that an API key or a job's token belongs to.

        Raises:
            KeyRefused: When the key is malformed, unknown, wrong or inactive: all look the same.
            TokenRefused: When the token is forged, or its job no longer runs.
        """
        return (await self.recognise(bearer)).account

    async def recognise(self, bearer: str) -> Caller:
        """Return the account that sent a credential, and its job if one did.

        Raises:
            KeyRefused: As `authenticate`.
            TokenRefused: As `authenticate`.
        """
        if self._tokens is not None and bearer.startswith(PREFIX):
            token = await self._tokens.recognise(bearer)
            return Caller(token.account, token.jid, token)
        holder = await self.holder(bearer)
        return Caller(holder.account, key=holder.key, role=holder.role, person=holder.person)

    async def holder(self, bearer: str) -> Holder:
        """Return the account and the id of an API key; job tokens are refused.

        Raises:
            KeyRefused: As `authenticate`.
        """
        matched = _KEY.fullmatch(bearer)
        if matched is None:
            raise KeyRefused
        name, digest = matched[1], self._digest(matched[2])
        record = self._cached(name)
        if not _opens(record, digest):
            record = await self._stored(name, digest)
        return Holder(record.account, name, record.role, record.person)

    async def stored_key(self, name: str) -> Key:
        """Return a key by its id, as it was stored `KNOWN_S` ago or later.

        One that does not exist is inactive.
        """
        record = self._cached(name)
        if record is _NO_KEY:
            key = layout.key(name)
            record, version, at = await self._shared(key)
            if version:
                self.commits.view.install(key, record, version)
                self._read_at[name] = at
        return record

    def _cached(self, name: str) -> Key:
        """Return the cached key, at most `KNOWN_S` old.

        So a revocation never depends on a notification.
        """
        view = self.commits.view
        if view.state.shared and abs(self.clock() - self._read_at.get(name, 0.0)) >= KNOWN_S:
            return _NO_KEY
        cached: Key | None = view.peek(layout.key(name))
        return cached or _NO_KEY

    async def _stored(self, name: str, digest: bytes) -> Key:
        """Return the key as it is stored, for a secret that the cached key does not match.

        Only the store rejects a key: a cached "no" would reveal valid ids through timing. A key
        that is refused was read, decoded and compared, even if its id is unknown; a random delay
        hides the remaining difference.
        """
        view, key = self.commits.view, layout.key(name)
        cached: Key = view.peek(key) or _NO_KEY
        # A thousand waits that end together share one read. Only requests with a secret that was
        # right before may share it: for others, a faster reply would reveal that the id is in use.
        reading = self._shared(key) if _opens(cached, digest) else self._read(key)
        record, version, at = await reading
        if not _opens(record, digest):
            await asyncio.sleep(_random.uniform(0.0, BLUR_S))
            raise KeyRefused
        if version:
            view.install(key, record, version)
            self._read_at[name] = at
        return record

    def _shared(self, key: str) -> Awaitable[_StoredKey]:
        """Join the read of a key that is under way, or begin one; a cancelled caller stops none."""
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read(key))
            reading.add_done_callback(lambda _: self._reading.pop(key))
        return asyncio.shield(reading)

    async def _read(self, key: str) -> _StoredKey:
        """Read a key from the store; `_NO_KEY` if there is none."""
        now = self.clock()
        entry = (await self.commits.view.state.get([key])).get(key)
        record: Key = layout.decode(key, entry.value if entry else _NO_KEY_BYTES)
        return _StoredKey(record, entry.version if entry else 0, now)

    async def create(self, account: str, name: str) -> None:
        """Create an account if it does not exist."""
        record = Account(name, self.clock())

        async def plan(draft: Draft) -> None:
            if await draft.get(layout.account(account)) is None:
                draft.create(layout.account(account), record)

        await self.commits.run(plan)

    async def store_key(
        self, account: str, bearer: str, role: Role = Role.OWNER, person: str = ""
    ) -> None:
        """Store a key of an account, with a keyed hash in place of its secret."""
        matched = _KEY.fullmatch(bearer)
        if matched is None:
            raise KeyRefused
        record = Key(
            account,
            _bound(self._digest(matched[2]), role),
            active=True,
            created_at=self.clock(),
            role=role,
            person=person,
        )
        name = layout.key(matched[1])

        async def plan(draft: Draft) -> None:
            if await draft.get(name) is None:
                draft.create(name, record)

        await self.commits.run(plan)

    def _digest(self, secret: str) -> bytes:
        data = secret.encode()
        named = self._hash.copy()
        named.update(data)
        name = named.digest()
        digest = self._digests.get(name)
        if digest is None:
            if len(self._digests) >= KEPT_DIGESTS:
                self._digests.clear()
            digest = self._digests[name] = hmac.digest(self._pepper, data, sha256)
        return digest


def _opens(record: Key, digest: bytes) -> bool:
    return hmac.compare_digest(_bound(digest, record.role), record.digest) and record.active


def _bound(digest: bytes, role: Role) -> bytes:
    """Return the digest of a secret together with a role.

    An earlier version of the server, which knows no roles, so refuses a key that may not do
    everything, instead of accepting it for everything.
    """
    return digest if role is Role.OWNER else hmac.digest(digest, role.encode(), sha256)


def check_administrator(holder: Holder) -> None:
    """Refuse everybody except the owners of the first account.

    Raises:
        AdministratorsOnly: When the key belongs to another account, or has another role.
    """
    if holder.account != FIRST_ACCOUNT or holder.role is not Role.OWNER:
        raise AdministratorsOnly


def new_key() -> str:
    """Return a new API key: `pk_<id>_<secret>`.

    >>> bool(_KEY.fullmatch(new_key()))
    True
    """
    return f"pk_{entropy.token_hex(6)}_{entropy.token_urlsafe(32)}"


async def first_key(accounts: Accounts, secrets: SecretPort) -> str:
    """Return the key of the first account; the first start creates both.

    The secret store keeps it, so that a second `up` can write the profile again. If it was
    deactivated, a new one takes its place.
    """
    await accounts.create(FIRST_ACCOUNT, "main")
    for number in count():
        name = f"bootstrap/key{number or ''}"
        key = (await secrets.get_or_create(name, lambda: new_key().encode())).decode()
        await accounts.store_key(FIRST_ACCOUNT, key)
        with suppress(KeyRefused):
            await accounts.authenticate(key)
            return key
    raise AssertionError
