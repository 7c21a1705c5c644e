"""Accounts and API keys: who asks."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets as entropy
from contextlib import suppress
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_model.errors import KeyRefused
from picloud_model.token import PREFIX

from picloud_api.store import layout
from picloud_api.store.records import Account, Key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_driver.secrets import SecretPort

    from picloud_api.store.commits import Commits
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.job_token import JobTokens

FIRST_ACCOUNT: Final = "a0000001"
"""The account made with the server; its keys administer the others."""
KNOWN_S: Final = 2.0
"""How long a key is taken without asking a store that other processes write to as well."""
_KEY: Final = re.compile(r"pk_([0-9a-f]{12})_([0-9A-Za-z_-]{40,64})")
BLUR_S: Final = 0.004
"""How long the answer to a key that is refused may be held back."""
_NOBODYS: Final = Key("", bytes(32), active=False, created_at=0.0)
"""What a key that does not exist is compared with."""
_NOBODYS_BYTES: Final = layout.encode(_NOBODYS)
_dice: Final = entropy.SystemRandom()


class Caller(NamedTuple):
    """Who makes a request; `jid` is 0 where no job does."""

    account: str
    jid: int = 0


class Holder(NamedTuple):
    """Who shows an API key: its account, and the key's id."""

    account: str
    key: str


class _Look(NamedTuple):
    """A key as the store had it at some time; version 0 where it had none."""

    record: Key
    version: int
    at: float


class Accounts:
    """Makes accounts and keys, and tells whose a key is."""

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
        self._tokens = tokens
        self._read_at: dict[str, float] = {}
        self._looking: dict[str, asyncio.Task[_Look]] = {}

    async def authenticate(self, bearer: str) -> str:
        """The account a bearer key, or a job's token, belongs to.

        Raises:
            KeyRefused: When the key is malformed, unknown, wrong or inactive: all look the same.
            TokenRefused: When the token is forged, or its job does not run any more.
        """
        return (await self.recognise(bearer)).account

    async def recognise(self, bearer: str) -> Caller:
        """Who asks: an account, and which of its jobs where one does. Raises as `authenticate`."""
        if self._tokens is not None and bearer.startswith(PREFIX):
            token = await self._tokens.recognise(bearer)
            return Caller(token.account, token.jid)
        return Caller((await self.holder(bearer)).account)

    async def holder(self, bearer: str) -> Holder:
        """Whose API key it is, and which; no job has one.

        Raises:
            KeyRefused: As `authenticate`.
        """
        matched = _KEY.fullmatch(bearer)
        if matched is None:
            raise KeyRefused
        name, digest = matched[1], self._digest(matched[2])
        record = self._remembered(name)
        if not _opens(record, digest):
            record = await self._looked_up(name, digest)
        return Holder(record.account, name)

    def _remembered(self, name: str) -> Key:
        """A key as it was at most `KNOWN_S` ago; its end must not hang on what others tell."""
        view = self.commits.view
        if view.state.shared and abs(self.clock() - self._read_at.get(name, 0.0)) >= KNOWN_S:
            return _NOBODYS
        known: Key | None = view.peek(layout.key(name))
        return known or _NOBODYS

    async def _looked_up(self, name: str, digest: bytes) -> Key:
        """The key as the store has it, for a secret that memory does not let in.

        Memory never refuses: time would tell which ids are in use here. So whatever is refused was
        read, decoded and compared, unknown ids too; what still differs is lost in a random wait.
        """
        view, key = self.commits.view, layout.key(name)
        known: Key = view.peek(key) or _NOBODYS
        # A thousand waits that end at once share one look. Only whose secret was right before may:
        # to anybody else a shorter wait would tell that others use the id.
        looking = self._shared(key) if _opens(known, digest) else self._read(key)
        record, version, at = await looking
        if not _opens(record, digest):
            await asyncio.sleep(_dice.uniform(0.0, BLUR_S))
            raise KeyRefused
        if version:
            view.install(key, record, version)
            self._read_at[name] = at
        return record

    def _shared(self, key: str) -> Awaitable[_Look]:
        """The look at a key that is under way, or a new one; who gives up takes it from nobody."""
        looking = self._looking.get(key)
        if looking is None:
            looking = self._looking[key] = asyncio.create_task(self._read(key))
            looking.add_done_callback(lambda _: self._looking.pop(key))
        return asyncio.shield(looking)

    async def _read(self, key: str) -> _Look:
        """A key as the store has it; nobody's where it has none."""
        now = self.clock()
        entry = (await self.commits.view.state.get([key])).get(key)
        record: Key = layout.decode(key, entry.value if entry else _NOBODYS_BYTES)
        return _Look(record, entry.version if entry else 0, now)

    async def open(self, account: str, name: str) -> None:
        """Make an account if it does not exist."""
        record = Account(name, self.clock())

        async def plan(draft: Draft) -> None:
            if await draft.get(layout.account(account)) is None:
                draft.create(layout.account(account), record)

        await self.commits.run(plan)

    async def admit(self, account: str, bearer: str) -> None:
        """Make a key of this account known; its secret is not kept."""
        matched = _KEY.fullmatch(bearer)
        if matched is None:
            raise KeyRefused
        record = Key(account, self._digest(matched[2]), True, self.clock())  # noqa: FBT003
        name = layout.key(matched[1])

        async def plan(draft: Draft) -> None:
            if await draft.get(name) is None:
                draft.create(name, record)

        await self.commits.run(plan)

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._pepper, secret.encode(), sha256)


def _opens(record: Key, digest: bytes) -> bool:
    return hmac.compare_digest(digest, record.digest) and record.active


def new_key() -> str:
    """A fresh API key: `pk_<id>_<secret>`.

    >>> bool(_KEY.fullmatch(new_key()))
    True
    """
    return f"pk_{entropy.token_hex(6)}_{entropy.token_urlsafe(32)}"


async def first_key(accounts: Accounts, secrets: SecretPort) -> str:
    """The key of the first account, made with it at the first start.

    It stays in the secret store, so that a second `up` can write the profile again. Where it was
    deactivated since, another takes its place.
    """
    await accounts.open(FIRST_ACCOUNT, "main")
    for number in count():
        name = f"bootstrap/key{number or ''}"
        made = (await secrets.get_or_create(name, lambda: new_key().encode())).decode()
        await accounts.admit(FIRST_ACCOUNT, made)
        with suppress(KeyRefused):
            await accounts.authenticate(made)
            return made
    raise AssertionError
