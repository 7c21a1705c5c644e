"""Notebooks and desktops: requests and answers about jobs that an account opens in browsers."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from picloud_model.wire.body import Answer, Jid, Request
from picloud_model.wire.tunnel import TcpPort

MachineKind = Literal["notebook", "desktop"]
"""What a browser is shown: JupyterLab, or the screen of an X server. A name is that of one kind."""
MAX_NOTEBOOKS: Final = 100
"""Most notebooks and desktops of an account."""
NOTEBOOK_NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,39}$(?!\n)"
NotebookName = Annotated[str, Meta(pattern=NOTEBOOK_NAME_PATTERN, max_length=40)]
LEAST_PASSWORD: Final = 8
"""The fewest characters of a second password."""
MOST_PASSWORD: Final = 200
"""The most."""
Password = Annotated[str, Meta(min_length=LEAST_PASSWORD, max_length=MOST_PASSWORD)]


class RunNotebookRequest(Request, frozen=True):
    """Make a job the machine of a notebook or desktop: `POST /v1/notebooks`.

    It is new, or its last job has ended. The job itself adds the `port` on which it listens for
    browsers. A repetition changes nothing.
    """

    name: NotebookName
    jid: Jid
    port: TcpPort | None = None
    kind: MachineKind = "notebook"


class NotebookRequest(Request, frozen=True):
    """Return what is known of a notebook or desktop: `POST /v1/notebooks/get`."""

    name: NotebookName
    kind: MachineKind = "notebook"


class ListNotebooksRequest(Request, frozen=True):
    """List the notebooks and desktops of the account: `POST /v1/notebooks/list`."""


class NotebookPasswordRequest(Request, frozen=True):
    """Set the second password of a machine, or revoke it: `POST /v1/notebooks/password`."""

    name: NotebookName
    password: Password | None
    kind: MachineKind = "notebook"

    def __repr__(self) -> str:
        return f"NotebookPasswordRequest(name={self.name!r})"


class DeleteNotebookRequest(Request, frozen=True):
    """Forget a machine that does not run: `POST /v1/notebooks/delete`. Its volume stays."""

    name: NotebookName
    kind: MachineKind = "notebook"


class Notebook(Answer, frozen=True):
    """A notebook or desktop: the job that runs it or ran it last, and if it has a second password.

    It listens on `port`, once it does and until the job has `ended`. Its owner is let in
    with the `token`, which is another one for each job; lists have none. Others open `shared_path`
    at the URL of the server, and type the second password there.
    """

    name: str
    jid: int
    ended: bool
    port: int | None = None
    has_password: bool = False
    token: str = ""
    shared_path: str = ""
    kind: MachineKind = "notebook"

    def __repr__(self) -> str:
        return f"Notebook(name={self.name!r}, jid={self.jid!r}, ended={self.ended!r})"


class NotebooksListed(Answer, frozen=True):
    """The notebooks and desktops of an account, by name."""

    notebooks: list[Notebook]
