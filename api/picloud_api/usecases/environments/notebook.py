"""Notebooks and desktops: jobs that browsers open, one at a time for each name of an account."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from msgspec.structs import replace
from picloud_model.errors import NotFound, RequestConflict, missing_name
from picloud_model.job import State
from picloud_model.page import Flag
from picloud_model.wire.notebook import (
    MAX_NOTEBOOKS,
    MachineKind,
    Notebook,
    NotebooksListed,
)

from picloud_api.engine.jobs.locate import locate, read_pages
from picloud_api.store.records import NamedRecord
from picloud_api.usecases.environments.notebook_label import label_of
from picloud_api.usecases.environments.notebook_password import NotebookPasswords, generation

if TYPE_CHECKING:
    from picloud_model.wire.notebook import NotebookPasswordRequest, RunNotebookRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

_TOKEN_BYTES: Final = 24


class NotebookRecord(NamedRecord, frozen=True, kw_only=True):
    """A notebook or desktop, under the key `notebooks/<account>/<name>`.

    `jid` is the job that runs it or ran it last, and `port` the one on which that listens for
    browsers. `hash` is that of its second password.
    """

    prefix: ClassVar[str] = "notebooks/"

    jid: int
    port: int | None = None
    hash: str | None = None
    kind: MachineKind = "notebook"


class NotebookAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What leads to the job of a notebook or desktop, and the generation of its password."""

    kind: MachineKind
    jid: int
    ended: bool
    port: int | None
    token: str
    generation: str

    def __repr__(self) -> str:
        return f"NotebookAccess(jid={self.jid!r})"


class Notebooks:
    """Records which jobs are the notebooks and desktops of accounts.

    Clients submit these jobs. The token that lets an owner in is derived from the job and a key of
    the server, so it is another one at each start, and is not stored.

    Args:
        context: Where notebooks are recorded.
        key: What tokens are derived from.
        passwords: Hashes second passwords.
    """

    def __init__(self, context: Context, key: bytes, passwords: NotebookPasswords) -> None:
        self._commits = context.commits
        self._key = key
        self._passwords = passwords

    async def run(self, account: str, request: RunNotebookRequest) -> Notebook:
        """Make a job the machine of a notebook or desktop, or record the port of the one it has.

        Raises:
            JobNotFound: When the account has no such job.
            RequestConflict: When the job has ended, another job runs the machine, the name is that
                of one of another kind, or the account has too many.
        """
        key = _key(account, request.name)
        has_ended = await self._has_ended(account, request.jid)
        others = await self._commits.view.scan(_key(account, ""))
        if key not in others and len(others) >= MAX_NOTEBOOKS:
            message = f"An account has up to {MAX_NOTEBOOKS} notebooks and desktops; delete one."
            raise RequestConflict(message)

        async def plan(draft: Draft) -> None:
            before: NotebookRecord | None = await draft.fresh(key)
            if before is not None and before.kind != request.kind:
                raise RequestConflict(_taken(request.name, before.kind), field="name")
            if before is not None and before.jid == request.jid:
                draft.put(key, replace(before, port=request.port or before.port))
                return
            if before is not None and not await self._has_ended(account, before.jid):
                raise RequestConflict(_running(request.name, before), field="name")
            if has_ended:
                raise RequestConflict(f"Job {request.jid} has ended.", field="jid")
            record = before or NotebookRecord(jid=request.jid, kind=request.kind)
            draft.put(key, replace(record, jid=request.jid, port=request.port))

        await self._commits.run(plan)
        return await self.get(account, request.name, request.kind)

    async def get(self, account: str, name: str, kind: MachineKind = "notebook") -> Notebook:
        """Return what is known of a notebook or desktop.

        Raises:
            NotFound: When the account has none of this name and kind.
        """
        return (await self._read(account, name, kind))[0]

    async def access(self, account: str, name: str) -> NotebookAccess:
        """Return what leads to a notebook or desktop.

        Raises:
            NotFound: When the account has neither of this name.
        """
        notebook, stored = await self._read(account, name, None)
        return NotebookAccess(
            kind=notebook.kind,
            jid=notebook.jid,
            ended=notebook.ended,
            port=notebook.port,
            token=notebook.token,
            generation=generation(stored) if stored is not None else "",
        )

    async def _read(
        self, account: str, name: str, kind: MachineKind | None
    ) -> tuple[Notebook, str | None]:
        """Return a machine of a kind, None for any, and the hash of its second password."""
        found: NotebookRecord | None = await self._commits.view.fresh(_key(account, name))
        record = await self._checked(account, name, kind, found)
        listed = await self._listed(account, name, record)
        token = "" if listed.ended else self._token(account, record.jid)
        return replace(listed, token=token), record.hash

    async def check_password(self, account: str, name: str, password: str) -> str | None:
        """Return the generation of the second password of a machine, if it is this one."""
        record: NotebookRecord | None = await self._commits.view.fresh(_key(account, name))
        stored = record.hash if record is not None else None
        is_right = await self._passwords.is_right(stored, password)
        return generation(stored) if is_right and stored is not None else None

    async def list(self, account: str) -> NotebooksListed:
        """Return the notebooks and desktops of an account, without tokens."""
        prefix = _key(account, "")
        records: dict[str, NotebookRecord] = await self._commits.view.scan(prefix)
        return NotebooksListed(
            notebooks=[
                await self._listed(account, key.removeprefix(prefix), records[key])
                for key in sorted(records)
            ]
        )

    async def set_password(self, account: str, request: NotebookPasswordRequest) -> None:
        """Record the second password of a machine, or that it has none.

        Raises:
            NotFound: When the account has no such machine.
        """
        key = _key(account, request.name)
        if request.password is not None:
            await self.get(account, request.name, request.kind)
            hashed = await self._passwords.hash(request.password)
        else:
            hashed = None

        async def plan(draft: Draft) -> None:
            found: NotebookRecord | None = await draft.fresh(key)
            before = await self._checked(account, request.name, request.kind, found)
            draft.put(key, replace(before, hash=hashed))

        await self._commits.run(plan)

    async def delete(self, account: str, name: str, kind: MachineKind = "notebook") -> None:
        """Forget a notebook or desktop.

        Raises:
            NotFound: When the account has none of this name and kind.
            RequestConflict: When a job runs it.
        """
        key = _key(account, name)

        async def plan(draft: Draft) -> None:
            found: NotebookRecord | None = await draft.fresh(key)
            before = await self._checked(account, name, kind, found)
            if not await self._has_ended(account, before.jid):
                raise RequestConflict(_running(name, before), field="name")
            draft.delete(key)

        await self._commits.run(plan)

    async def _listed(self, account: str, name: str, record: NotebookRecord) -> Notebook:
        ended = await self._has_ended(account, record.jid)
        return Notebook(
            name=name,
            jid=record.jid,
            ended=ended,
            port=None if ended else record.port,
            has_password=record.hash is not None,
            shared_path=f"/notebooks/shared/{label_of(account, name)}",
            kind=record.kind,
        )

    async def _has_ended(self, account: str, jid: int) -> bool:
        (piece,) = await locate(self._commits.view, account, [(jid, jid)])
        async for _, page in read_pages(self._commits.view, [piece]):
            if page.flags[piece.start] & Flag.DELETED or State(page.state[piece.start]).final:
                return True
        return False

    async def _checked(
        self, account: str, name: str, kind: MachineKind | None, record: NotebookRecord | None
    ) -> NotebookRecord:
        """Return a record, if there is one and it is of the kind.

        Raises:
            NotFound: When it is not; the message names one with a similar name.
        """
        if record is not None and kind in (None, record.kind):
            return record
        kind = kind or "notebook"
        prefix = _key(account, "")
        records: dict[str, NotebookRecord] = await self._commits.view.scan(prefix)
        names = [key.removeprefix(prefix) for key in records if records[key].kind == kind]
        cure = f"; `picloud {kind} start` makes one."
        raise NotFound(missing_name(kind, name, names, cure), field="name")

    def _token(self, account: str, jid: int) -> str:
        text = f"{account}-notebook-{jid}".encode()
        return blake2b(text, key=self._key, digest_size=_TOKEN_BYTES).hexdigest()


def _key(account: str, name: str) -> str:
    return f"{NotebookRecord.prefix}{account}/{name}"


def _running(name: str, record: NotebookRecord) -> str:
    kind = record.kind
    return (
        f"The {kind} {name!r} is already running as job {record.jid}; picloud {kind} open {name} "
        "opens it."
    )


def _taken(name: str, kind: MachineKind) -> str:
    return f"The name {name!r} is that of a {kind} of your account; choose another one."
