"""Secret sources: roles of the secret store that mint a secret for each job that names one.

The operator defines them, and says which accounts may name them: users never name a role or a path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from picloud_driver.secret import SecretRole
from picloud_model.errors import (
    NotFound,
    RequestConflict,
    RequestRefused,
    SecretSourceNotFound,
)
from picloud_model.wire.secret_source import MAX_SOURCES, SecretSource, SecretSourcesListed

from picloud_api.store import layout
from picloud_api.store.records import NamedRecord
from picloud_api.usecases.accounts.account import check_administrator
from picloud_api.usecases.accounts.secrets.variable import check_variable

if TYPE_CHECKING:
    from picloud_driver.secret import SecretPort
    from picloud_model.wire.secret_source import PutSecretSourceRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.view import View
    from picloud_api.usecases.accounts.account import Holder


class SecretSourceRecord(NamedRecord, frozen=True, kw_only=True):
    """A secret source, under the key `secret_sources/<name>`; see `PutSecretSourceRequest`."""

    prefix: ClassVar[str] = "secret_sources/"

    path: str
    role: str
    variables: dict[str, str]
    parameters: dict[str, str]
    as_file: bool
    accounts: list[str] | None
    defined_at: float

    @property
    def minting(self) -> SecretRole:
        """The role, as the secret store takes it."""
        return SecretRole(self.path, self.role, self.parameters)

    def is_for(self, account: str) -> bool:
        """Whether jobs of an account may name it."""
        return self.accounts is None or account in self.accounts


class SecretSources:
    """Keeps the secret sources of a server.

    Args:
        context: Where they are recorded.
        store: What mints.
    """

    def __init__(self, context: Context, store: SecretPort) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._store = store

    async def put(self, holder: Holder, request: PutSecretSourceRequest) -> None:
        """Define a source; it is tried first: a secret is minted and revoked at once.

        Raises:
            AdministratorsOnly: When the key is none of an administrator.
            NotFound: When there is no such account.
            RequestRefused: When nothing can be minted, or what is minted has no such field.
            RequestConflict: When there are too many sources.
        """
        check_administrator(holder)
        await self._check(request)
        key = _key(request.name)
        record = SecretSourceRecord(
            path=request.path,
            role=request.role,
            variables=request.variables,
            parameters=request.parameters,
            as_file=request.as_file,
            accounts=request.accounts,
            defined_at=self._clock(),
        )
        await self._try(record)

        async def plan(draft: Draft) -> None:
            await draft.fresh(key)
            draft.put(key, record)

        await self._commits.run(plan)

    async def list(self, holder: Holder) -> SecretSourcesListed:
        """Return all sources by name.

        Raises:
            AdministratorsOnly: When the key is none of an administrator.
        """
        check_administrator(holder)
        found: dict[str, SecretSourceRecord] = await self._commits.view.scan(_key())
        return SecretSourcesListed(
            sources=[
                SecretSource(
                    name=SecretSourceRecord.parse(key),
                    path=record.path,
                    role=record.role,
                    variables=record.variables,
                    parameters=record.parameters,
                    as_file=record.as_file,
                    accounts=record.accounts,
                    defined_at=record.defined_at,
                )
                for key, record in sorted(found.items())
            ]
        )

    async def remove(self, holder: Holder, name: str) -> None:
        """Remove a source; what it has minted stays valid as long as the jobs run.

        Raises:
            AdministratorsOnly: When the key is none of an administrator.
            SecretSourceNotFound: When there is no such source.
        """
        check_administrator(holder)
        key = _key(name)

        async def plan(draft: Draft) -> None:
            if await draft.fresh(key) is None:
                raise SecretSourceNotFound(
                    f"There is no secret source {name!r}; `picloud admin secret-sources` shows "
                    "those that there are."
                )
            draft.delete(key)

        await self._commits.run(plan)

    async def _check(self, request: PutSecretSourceRequest) -> None:
        if not request.variables:
            message = "A secret source needs at least one variable with the field that it holds."
            raise RequestRefused(message, field="variables")
        for variable in request.variables:
            check_variable(variable, "variables")
        if request.accounts is not None and not request.accounts:
            message = "A secret source is for at least one account, or for all."
            raise RequestRefused(message, field="accounts")
        for account in request.accounts or []:
            if await self._commits.view.fresh(layout.account(account)) is None:
                raise NotFound(
                    f"There is no account {account!r}; `picloud account list` shows them.",
                    field="accounts",
                )
        others = await self._commits.view.names(_key())
        if request.name not in others and len(others) >= MAX_SOURCES:
            message = f"A server has up to {MAX_SOURCES} secret sources; remove one first."
            raise RequestConflict(message)

    async def _try(self, record: SecretSourceRecord) -> None:
        minted = await self._store.mint(record.minting)
        await self._store.revoke(minted.lease)
        for field in record.variables.values():
            if field not in minted.fields:
                named = ", ".join(sorted(minted.fields))
                message = f"{record.path}/{record.role} has no field {field!r}, but {named}."
                raise RequestRefused(message, field="variables")


async def source_for(view: View, account: str, name: str) -> SecretSourceRecord | None:
    """Return a source that jobs of an account may name; None if there is none of this name."""
    record: SecretSourceRecord | None = await view.fresh(_key(name))
    return record if record is not None and record.is_for(account) else None


async def sources_for(view: View, account: str) -> dict[str, SecretSourceRecord]:
    """Return all sources that jobs of an account may name, by name."""
    found: dict[str, SecretSourceRecord] = await view.scan(_key())
    return {
        SecretSourceRecord.parse(key): record
        for key, record in found.items()
        if record.is_for(account)
    }


def _key(name: str = "") -> str:
    return f"{SecretSourceRecord.prefix}{name}"
