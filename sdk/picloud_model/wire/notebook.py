"""Notebooks: requests and answers about the jobs that run JupyterLab for an account."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from picloud_model.wire.body import Answer, Jid, Request
from picloud_model.wire.tunnel import TcpPort

MAX_NOTEBOOKS: Final = 100
"""Most notebooks of an account."""
NOTEBOOK_NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,39}$(?!\n)"
NotebookName = Annotated[str, Meta(pattern=NOTEBOOK_NAME_PATTERN, max_length=40)]
HASH_PATTERN: Final = r"^argon2:\$argon2id\$[!-~]{1,300}$(?!\n)"
PasswordHash = Annotated[str, Meta(pattern=HASH_PATTERN, max_length=400)]
"""A password as `jupyter_server.auth.passwd` hashes it, with salt and parameters."""


class RunNotebookRequest(Request, frozen=True):
    """Make a job the machine of a notebook: `POST /v1/notebooks`.

    The notebook is new, or its last job has ended. The job itself adds the `port` on which
    JupyterLab listens. A repetition changes nothing.
    """

    name: NotebookName
    jid: Jid
    port: TcpPort | None = None


class NotebookRequest(Request, frozen=True):
    """Return what is known of a notebook: `POST /v1/notebooks/get`."""

    name: NotebookName


class ListNotebooksRequest(Request, frozen=True):
    """List the notebooks of the account: `POST /v1/notebooks/list`."""


class NotebookPasswordRequest(Request, frozen=True):
    """Set the second password of a notebook, or revoke it: `POST /v1/notebooks/password`."""

    name: NotebookName
    hash: PasswordHash | None


class DeleteNotebookRequest(Request, frozen=True):
    """Forget a notebook that does not run: `POST /v1/notebooks/delete`. Its volume stays."""

    name: NotebookName


class Notebook(Answer, frozen=True):
    """A notebook: the job that runs it or ran it last, and whether it has a second password.

    JupyterLab listens on `port`, once it does and until the job has `ended`. Its owner is let in
    with the `token`, which is another one for each job, and others with the password of the hash.
    Lists have neither.
    """

    name: str
    jid: int
    ended: bool
    port: int | None = None
    has_password: bool = False
    token: str = ""
    hash: str | None = None

    def __repr__(self) -> str:
        return f"Notebook(name={self.name!r}, jid={self.jid!r}, ended={self.ended!r})"


class NotebooksListed(Answer, frozen=True):
    """The notebooks of an account, by name."""

    notebooks: list[Notebook]
