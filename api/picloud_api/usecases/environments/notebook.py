"""Notebooks: jobs that run JupyterLab for an account, one at a time for each name."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from msgspec.structs import replace
from picloud_model.errors import NotFound, RequestConflict, missing_name
from picloud_model.job import State
from picloud_model.page import Flag
from picloud_model.wire.notebook import MAX_NOTEBOOKS, Notebook, NotebooksListed

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
    """A notebook, under the key `notebooks/<account>/<name>`.

    `jid` is the job that runs it or ran it last, and `port` the one on which JupyterLab listens.
    `hash` is that of its second password.
    """

    prefix: ClassVar[str] = "notebooks/"

    jid: int
    port: int | None = None
    hash: str | None = None


class NotebookAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What leads to the JupyterLab of a notebook, and the generation of its second password."""

    jid: int
    ended: bool
    port: int | None
    token: str
    generation: str

    def __repr__(self) -> str:
        return f"NotebookAccess(jid={self.jid!r})"


class Notebooks:
    """Records which jobs are the notebooks of accounts.

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
        """Make a job the machine of a notebook, or record the port of the one that it has.

        Raises:
            JobNotFound: When the account has no such job.
            RequestConflict: When the job has ended, another job runs the notebook, or the account
                has too many notebooks.
        """
        key = _key(account, request.name)
        has_ended = await self._has_ended(account, request.jid)
        others = await self._commits.view.scan(_key(account, ""))
        if key not in others and len(others) >= MAX_NOTEBOOKS:
            message = f"An account has up to {MAX_NOTEBOOKS} notebooks; delete one first."
            raise RequestConflict(message)

        async def plan(draft: Draft) -> None:
            before: NotebookRecord | None = await draft.fresh(key)
            if before is not None and before.jid == request.jid:
                draft.put(key, replace(before, port=request.port or before.port))
                return
            if before is not None and not await self._has_ended(account, before.jid):
                raise RequestConflict(_running(request.name, before.jid), field="name")
            if has_ended:
                raise RequestConflict(f"Job {request.jid} has ended.", field="jid")
            record = before or NotebookRecord(jid=request.jid)
            draft.put(key, replace(record, jid=request.jid, port=request.port))

        await self._commits.run(plan)
        return await self.get(account, request.name)

    async def get(self, account: str, name: str) -> Notebook:
        """Return what is known of a notebook.

        Raises:
            NotFound: When the account has no such notebook.
        """
        return (await self._read(account, name))[0]

    async def access(self, account: str, name: str) -> NotebookAccess:
        """Return what leads to a notebook.

        Raises:
            NotFound: When the account has no such notebook.
        """
        notebook, stored = await self._read(account, name)
        return NotebookAccess(
            jid=notebook.jid,
            ended=notebook.ended,
            port=notebook.port,
            token=notebook.token,
            generation=generation(stored) if stored is not None else "",
        )

    async def _read(self, account: str, name: str) -> tuple[Notebook, str | None]:
        """Return a notebook, and the hash of its second password."""
        record: NotebookRecord | None = await self._commits.view.fresh(_key(account, name))
        if record is None:
            raise await self._unknown(account, name)
        listed = await self._listed(account, name, record)
        token = "" if listed.ended else self._token(account, record.jid)
        return replace(listed, token=token), record.hash

    async def check_password(self, account: str, name: str, password: str) -> str | None:
        """Return the generation of the second password of a notebook, if it is this one."""
        record: NotebookRecord | None = await self._commits.view.fresh(_key(account, name))
        stored = record.hash if record is not None else None
        is_right = await self._passwords.is_right(stored, password)
        return generation(stored) if is_right and stored is not None else None

    async def list(self, account: str) -> NotebooksListed:
        """Return the notebooks of an account, without tokens."""
        prefix = _key(account, "")
        records: dict[str, NotebookRecord] = await self._commits.view.scan(prefix)
        return NotebooksListed(
            notebooks=[
                await self._listed(account, key.removeprefix(prefix), records[key])
                for key in sorted(records)
            ]
        )

    async def set_password(self, account: str, request: NotebookPasswordRequest) -> None:
        """Record the second password of a notebook, or that it has none.

        Raises:
            NotFound: When the account has no such notebook.
        """
        key = _key(account, request.name)
        if request.password is not None:
            await self.get(account, request.name)
            hashed = await self._passwords.hash(request.password)
        else:
            hashed = None

        async def plan(draft: Draft) -> None:
            before: NotebookRecord | None = await draft.fresh(key)
            if before is None:
                raise await self._unknown(account, request.name)
            draft.put(key, replace(before, hash=hashed))

        await self._commits.run(plan)

    async def delete(self, account: str, name: str) -> None:
        """Forget a notebook.

        Raises:
            NotFound: When the account has no such notebook.
            RequestConflict: When a job runs it.
        """
        key = _key(account, name)

        async def plan(draft: Draft) -> None:
            before: NotebookRecord | None = await draft.fresh(key)
            if before is None:
                raise await self._unknown(account, name)
            if not await self._has_ended(account, before.jid):
                raise RequestConflict(_running(name, before.jid), field="name")
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
        )

    async def _has_ended(self, account: str, jid: int) -> bool:
        (piece,) = await locate(self._commits.view, account, [(jid, jid)])
        async for _, page in read_pages(self._commits.view, [piece]):
            if page.flags[piece.start] & Flag.DELETED or State(page.state[piece.start]).final:
                return True
        return False

    async def _unknown(self, account: str, name: str) -> NotFound:
        names = await self._commits.view.names(_key(account, ""))
        cure = "; `picloud notebook start` makes one."
        return NotFound(missing_name("notebook", name, names, cure), field="name")

    def _token(self, account: str, jid: int) -> str:
        text = f"{account}-notebook-{jid}".encode()
        return blake2b(text, key=self._key, digest_size=_TOKEN_BYTES).hexdigest()


def _key(account: str, name: str) -> str:
    return f"{NotebookRecord.prefix}{account}/{name}"


def _running(name: str, jid: int) -> str:
    return (
        f"The notebook {name!r} is already running as job {jid}; picloud notebook open {name} "
        "opens it."
    )
