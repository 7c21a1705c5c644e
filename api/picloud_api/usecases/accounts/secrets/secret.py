"""Secrets: values that the jobs of an account need and that no client can read back.

A name that an account has not set may be one of the sources that the operator has defined. The
values are in the secret store, and in the memory of processes that have used them. The state store
knows which variables a secret has, so that a submit is checked without a request to the secret
store, and when it was set: a value in memory counts for as long as that is the same.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import (
    RequestConflict,
    RequestRefused,
    SecretNotFound,
    TooLarge,
    Unavailable,
    missing_name,
)
from picloud_model.page import PAGE_JOBS
from picloud_model.token import JobToken
from picloud_model.wire.secret import (
    MAX_SECRET_BYTES,
    MAX_SECRETS,
    JobSecret,
    JobSecrets,
    ListedSecret,
    SecretsListed,
)

from picloud_api.engine.jobs.fence import holds_attempt, page_for_slot
from picloud_api.store import layout
from picloud_api.store.records import NamedRecord
from picloud_api.usecases.accounts.secrets.secret_cache import SecretCache
from picloud_api.usecases.accounts.secrets.secret_source import source_for, sources_for
from picloud_api.usecases.accounts.secrets.variable import check_variable

if TYPE_CHECKING:
    from picloud_driver.secret import SecretPort
    from picloud_model.wire import AttemptRef, Options
    from picloud_model.wire.secret import SetSecretRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header
    from picloud_api.store.view import View
    from picloud_api.usecases.accounts.secrets.minted_secret import MintedSecrets
    from picloud_api.usecases.accounts.secrets.secret_source import SecretSourceRecord

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class SecretRecord(NamedRecord, frozen=True):
    """What is known of a secret, under the key `secrets/<account>/<name>`."""

    prefix: ClassVar[str] = "secrets/"

    variables: list[str]
    as_file: bool
    set_at: float


class Secrets:
    """Stores the secrets of accounts, and hands those of a job to the slot that holds it.

    Args:
        context: Where the names of secrets are recorded.
        values: Where their values are.
        minted: Those that sources mint.
    """

    def __init__(self, context: Context, values: SecretPort, minted: MintedSecrets) -> None:
        self._commits = context.commits
        self._minted = minted
        self._clock = context.clock
        self._values = values
        self._cache = SecretCache()

    async def set(self, account: str, request: SetSecretRequest) -> None:
        """Store a secret; jobs that start from now on find these values.

        Raises:
            RequestRefused: When a variable cannot have its name or value.
            TooLarge: When there are too many bytes.
            RequestConflict: When the account has too many secrets.
        """
        _check(request)
        key = secret_key(account, request.name)
        others = await self._commits.view.scan(secret_key(account))
        if key not in others and len(others) >= MAX_SECRETS:
            message = f"An account has up to {MAX_SECRETS} secrets; remove one first."
            raise RequestConflict(message)
        value = JobSecret(request.values, request.as_file)
        place = _place(account, request.name)
        # First, so that what is listed can be read.
        await self._values.put(place, msgspec.msgpack.encode(value))
        self._cache.drop(place)
        record = SecretRecord(sorted(request.values), request.as_file, self._clock())

        async def plan(draft: Draft) -> None:
            await draft.fresh(key)
            draft.put(key, record)

        await self._commits.run(plan)
        with suppress(Unavailable):
            await self._value(account, request.name)  # jobs find it also while the store is away

    async def list(self, account: str) -> SecretsListed:
        """Return the secrets that jobs of an account may name, by name and without their values."""
        prefix = secret_key(account)
        found: dict[str, SecretRecord] = await self._commits.view.scan(prefix)
        listed = {
            name: ListedSecret(
                name=name,
                variables=sorted(source.variables),
                as_file=source.as_file,
                set_at=source.defined_at,
                minted=True,
            )
            for name, source in (await sources_for(self._commits.view, account)).items()
        }
        for key, record in found.items():
            name = key.removeprefix(prefix)
            listed[name] = ListedSecret(
                name=name,
                variables=record.variables,
                as_file=record.as_file,
                set_at=record.set_at,
            )
        return SecretsListed(secrets=[listed[name] for name in sorted(listed)])

    async def remove(self, account: str, name: str) -> None:
        """Remove a secret, with every earlier value that the store has kept.

        Raises:
            SecretNotFound: When there is no such secret.
        """
        key = secret_key(account, name)
        # First: a secret that is still listed can be removed again.
        await self._values.delete(_place(account, name))
        self._cache.drop(_place(account, name))

        async def plan(draft: Draft) -> None:
            if await draft.fresh(key) is None:
                raise SecretNotFound(await _missing(self._commits.view, account, name))
            draft.delete(key)

        await self._commits.run(plan)

    async def of_job(self, session: SlotSession, job: AttemptRef) -> JobSecrets:
        """Return the secrets that a job names, to the slot that holds it and to no other.

        Those of sources are minted now.

        Raises:
            RequestRefused: When the slot does not hold the job, a secret was removed, or a source
                mints nothing for it.
            Unavailable: When the secret store cannot answer now, and one has to be minted or is not
                in the memory of this process.
        """
        account, view = session.pool.account, self._commits.view
        number, index = divmod(job.index, PAGE_JOBS)
        page_id = layout.PageId(account, job.batch, number)
        page = await page_for_slot(view, page_id, [(index, job.attempt)], session.number)
        header: Header | None = await view.get(layout.header(account, job.batch))
        is_held = page is not None and holds_attempt(page, index, job.attempt, session.number)
        if header is None or not is_held:
            raise RequestRefused("This slot does not hold the job.", field="job")
        found: dict[str, JobSecret] = {}
        sources: dict[str, SecretSourceRecord] = {}
        names = dict.fromkeys(header.options.secrets)
        for name in names:
            value, source = await self._value(account, name), None
            if value is not None:
                found[name] = value
            elif (source := await source_for(view, account, name)) is not None:
                sources[name] = source
            else:
                raise RequestRefused(await _missing(view, account, name, ": set it first."))
        if sources:
            holder = JobToken(account, session.number, header.first + job.index, job.attempt)
            found |= await self._minted.mint(holder, sources)
        return JobSecrets(secrets=[found[name] for name in names])

    async def _value(self, account: str, name: str) -> JobSecret | None:
        record: SecretRecord | None = await self._commits.view.fresh(secret_key(account, name))
        if record is None:
            return None
        place = _place(account, name)
        known = self._cache.get(place, record.set_at)
        if known is None and (value := await self._values.get(place)) is not None:
            known = msgspec.msgpack.decode(value, type=JobSecret)
            self._cache.put(place, record.set_at, known)
        return known


async def check_secrets(view: View, account: str, options: Options) -> None:
    """Refuse secrets that a job cannot have together.

    Raises:
        RequestRefused: When the account has no such secret, or a variable would be set twice.
    """
    setters = dict.fromkeys(options.os_env_vars, "The environment variables")
    for name in dict.fromkeys(options.secrets):
        record: SecretRecord | SecretSourceRecord | None = None
        if _NAME.fullmatch(name):
            record = await view.fresh(secret_key(account, name))
            record = record or await source_for(view, account, name)
        if record is None:
            missing = await _missing(view, account, name, ": set it first.")
            raise RequestRefused(missing, field="options.secrets")
        for variable in record.variables:
            other = setters.setdefault(variable, f"The secret {name!r}")
            if other != f"The secret {name!r}":
                message = f"{other} and the secret {name!r} cannot both set {variable} in a job."
                raise RequestRefused(message, field="options.secrets")


def secret_key(account: str, name: str = "") -> str:
    """Return the key of a secret; without a name, the prefix of all secrets of an account."""
    return f"{SecretRecord.prefix}{account}/{name}"


def _place(account: str, name: str) -> str:
    """Return the name of a user's secret in the secret store."""
    return f"users/{account}/{name}"


def _check(request: SetSecretRequest) -> None:
    """Refuse values that a job cannot have; no message contains one."""
    if not request.values:
        raise RequestRefused("A secret needs at least one variable with its value.", field="values")
    for name, value in request.values.items():
        check_variable(name, "values")
        if "\0" in value and not request.as_file:
            message = f"The value of {name} has a NUL character, which only a file can hold."
            raise RequestRefused(message, field="values")
    try:
        size = sum(len(text.encode()) for pair in request.values.items() for text in pair)
    except UnicodeEncodeError:
        raise RequestRefused("The values are not valid Unicode text.", field="values") from None
    if size > MAX_SECRET_BYTES:
        message = f"A secret may have {MAX_SECRET_BYTES:,} bytes, not {size:,}."
        raise TooLarge(message, field="values")


async def _missing(view: View, account: str, name: str, cure: str = ".") -> str:
    known = {*await view.names(secret_key(account)), *await sources_for(view, account)}
    return missing_name("secret", name, known, cure)
