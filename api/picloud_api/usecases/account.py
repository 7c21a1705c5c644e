"""Accounts and API keys: who asks."""

from __future__ import annotations

import hmac
import re
import secrets as entropy
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_model.errors import KeyRefused
from picloud_model.token import PREFIX

from picloud_api.store import layout
from picloud_api.store.records import Account, Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_driver.secrets import SecretPort

    from picloud_api.store.commits import Commits
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.token import Tokens

FIRST_ACCOUNT: Final = "a0000001"
_KEY: Final = re.compile(r"pk_([0-9a-f]{12})_([0-9A-Za-z_-]{40,64})")


class Caller(NamedTuple):
    """Who makes a request; `jid` is 0 where no job does."""

    account: str
    jid: int = 0


class Accounts:
    """Makes accounts and keys, and tells whose a key is."""

    def __init__(
        self,
        commits: Commits,
        pepper: bytes,
        clock: Callable[[], float],
        tokens: Tokens | None = None,
    ) -> None:
        self._commits = commits
        self._pepper = pepper
        self._clock = clock
        self._tokens = tokens

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
        return Caller(await self._owner(bearer))

    async def _owner(self, bearer: str) -> str:
        matched = _KEY.fullmatch(bearer)
        if matched is None:
            raise KeyRefused
        record: Key | None = await self._commits.view.get(layout.key(matched[1]))
        # An unknown key is compared too, so that time does not tell which ids exist.
        expected = record.digest if record else bytes(32)
        if not hmac.compare_digest(self._digest(matched[2]), expected):
            raise KeyRefused
        if record is None or not record.active:
            raise KeyRefused
        return record.account

    async def open(self, account: str, name: str) -> None:
        """Make an account if it does not exist."""
        record = Account(name, self._clock())

        async def plan(draft: Draft) -> None:
            if await draft.get(layout.account(account)) is None:
                draft.create(layout.account(account), record)

        await self._commits.run(plan)

    async def admit(self, account: str, bearer: str) -> None:
        """Make a key of this account known; its secret is not kept."""
        matched = _KEY.fullmatch(bearer)
        if matched is None:
            raise KeyRefused
        record = Key(account, self._digest(matched[2]), True, self._clock())  # noqa: FBT003
        name = layout.key(matched[1])

        async def plan(draft: Draft) -> None:
            if await draft.get(name) is None:
                draft.create(name, record)

        await self._commits.run(plan)

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._pepper, secret.encode(), sha256)


def new_key() -> str:
    """A fresh API key: `pk_<id>_<secret>`.

    >>> bool(_KEY.fullmatch(new_key()))
    True
    """
    return f"pk_{entropy.token_hex(6)}_{entropy.token_urlsafe(32)}"


async def first_key(accounts: Accounts, secrets: SecretPort) -> str:
    """The key of the first account, made with it at the first start.

    It stays in the secret store, so that a second `up` can write the profile again.
    """
    made = await secrets.get_or_create("bootstrap/key", lambda: new_key().encode())
    await accounts.open(FIRST_ACCOUNT, "main")
    await accounts.admit(FIRST_ACCOUNT, made.decode())
    return made.decode()
