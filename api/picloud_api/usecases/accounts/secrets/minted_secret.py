"""Minted secrets: made for one attempt of a job just before it begins, and revoked after it.

Which lease belongs to which attempt is recorded before the slot receives the secret, so any process
can revoke it. If a process ends between minting and recording, the secret ends with its lease.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from uuid import uuid4

import structlog
from msgspec.structs import replace
from picloud_model.errors import PiCloudError, RequestRefused, Unavailable
from picloud_model.token import JobToken
from picloud_model.wire.secret import JobSecret

from picloud_api.store.records import Event, EventKind, KeyedRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_driver.secret import MintedSecret, SecretPort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.job_token import JobTokens
    from picloud_api.usecases.accounts.secrets.secret_source import SecretSourceRecord

_log = structlog.get_logger()


class MintedFor(NamedTuple):
    """The attempt of a job that a secret was minted for."""

    account: str
    jid: int
    attempt: int


class MintedRecord(KeyedRecord, frozen=True, kw_only=True):
    """A secret that was minted and not revoked; without its values.

    Its key is `minted_secrets/<account>/<jid>/<attempt>/<id>`. It belongs to the attempt as long as
    `slot` holds that; one of slot 0 was replaced before it was used.
    """

    prefix: ClassVar[str] = "minted_secrets/"

    source: str
    lease: str
    slot: int
    renew_at: float
    """When it has to be renewed; 0 if it cannot be."""

    @classmethod
    def parse(cls, key: str) -> MintedFor:
        """Return the attempt in a key.

        >>> MintedRecord.parse("minted_secrets/a1/7/2/0f")
        MintedFor(account='a1', jid=7, attempt=2)
        """
        account, jid, attempt, _ = key.removeprefix(cls.prefix).split("/")
        return MintedFor(account, int(jid), int(attempt))


class MintedSecrets:
    """Mints secrets for attempts of jobs, and revokes them.

    Args:
        context: Where leases are recorded.
        store: What mints.
        tokens: Say whether a slot still holds an attempt.
    """

    def __init__(self, context: Context, store: SecretPort, tokens: JobTokens) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._store = store
        self._tokens = tokens

    async def mint(
        self, job: JobToken, sources: Mapping[str, SecretSourceRecord]
    ) -> dict[str, JobSecret]:
        """Return a secret from each source, by its name, for an attempt that a slot holds.

        What was minted for the attempt before is revoked: the slot has not received it.

        Raises:
            RequestRefused: When a source mints nothing that the job can use.
            Unavailable: When a source cannot mint now.
        """
        await self._replace(job)
        return {name: await self._mint(job, name, source) for name, source in sources.items()}

    async def _mint(self, job: JobToken, name: str, source: SecretSourceRecord) -> JobSecret:
        minted = await self._minted(name, source)
        now, half_s = self._clock(), minted.valid_s / 2
        record = MintedRecord(
            source=name,
            lease=minted.lease,
            slot=job.slot,
            renew_at=now + half_s if minted.renewable else 0.0,
        )
        key = f"{_prefix(job)}{uuid4().hex}"

        async def plan(draft: Draft) -> None:
            draft.create(key, record)
            draft.emit(Event(EventKind.MINTED, job.account, ""))

        try:
            await self._commits.run(plan)
        except Exception:
            with suppress(PiCloudError):
                await self._store.revoke(minted.lease)
            raise
        try:
            values = {name: minted.fields[field] for name, field in source.variables.items()}
        except KeyError:
            raise _refused(name) from None
        return JobSecret(values, source.as_file)

    async def _minted(self, name: str, source: SecretSourceRecord) -> MintedSecret:
        """Mint; what the operator has to know is logged, as users must not see paths and roles."""
        try:
            return await self._store.mint(source.minting)
        except RequestRefused as error:
            _log.warning("secret_source.refused", source=name, reason=error.message)
            raise _refused(name) from None
        except Unavailable as error:
            _log.warning("secret_source.unavailable", source=name, reason=error.message)
            message = f"The secret source {name!r} cannot mint a secret now."
            raise Unavailable(message) from None

    async def _replace(self, job: JobToken) -> None:
        """Let what was minted for an attempt be revoked, although the slot still holds it."""
        earlier: dict[str, MintedRecord] = await self._commits.view.scan(_prefix(job))
        for key in earlier:

            async def plan(draft: Draft, key: str = key) -> None:
                record: MintedRecord | None = await draft.fresh(key)
                if record is not None:
                    draft.put(key, replace(record, slot=0))
                    draft.emit(Event(EventKind.MINTED, job.account, ""))

            await self._commits.run(plan)

    async def unrevoked(self) -> dict[str, MintedRecord]:
        """Return everything that was minted and not revoked, by its key."""
        return await self._commits.view.scan(MintedRecord.prefix)

    async def tend(self, key: str, record: MintedRecord) -> MintedRecord | None:
        """Revoke a secret whose attempt has ended, or renew it; return what is recorded now.

        Raises:
            Unavailable: When the secret store cannot do it now.
        """
        if not await self._is_held(key, record):
            await self._store.revoke(record.lease)
            await self._commits.remove([key])
            return None
        if not record.renew_at or self._clock() < record.renew_at:
            return record
        try:
            valid_s = await self._store.renew(record.lease)
        except RequestRefused as error:
            _log.warning("minted_secret.not_renewed", source=record.source, reason=error.message)
            renewed = replace(record, renew_at=0.0)
        else:
            renewed = replace(record, renew_at=self._clock() + valid_s / 2)

        async def plan(draft: Draft) -> None:
            latest: MintedRecord | None = await draft.fresh(key)
            if latest is not None:
                draft.put(key, replace(latest, renew_at=renewed.renew_at))

        await self._commits.run(plan)
        return renewed

    async def _is_held(self, key: str, record: MintedRecord) -> bool:
        if not record.slot:
            return False
        account, jid, attempt = MintedRecord.parse(key)
        return await self._tokens.is_held(JobToken(account, record.slot, jid, attempt))


def _prefix(job: JobToken) -> str:
    return f"{MintedRecord.prefix}{job.account}/{job.jid}/{job.attempt}/"


def _refused(name: str) -> RequestRefused:
    return RequestRefused(
        f"The secret source {name!r} mints nothing for this job: ask the operator of the server."
    )
