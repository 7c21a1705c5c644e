"""Notebooks and desktops of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import notebook as wire

if TYPE_CHECKING:
    from cloud._http.transport import Transport

_ADDRESS: Final = "/v1/notebooks"


class NotebookClient:
    """Records which jobs are notebooks or desktops, and what lets their owner and others in.

    Args:
        transport: Sends requests.
        kind: Which of them.
    """

    def __init__(self, transport: Transport, kind: wire.MachineKind = "notebook") -> None:
        self._transport = transport
        self._kind = kind

    def run(self, name: str, jid: int, port: int | None = None) -> wire.Notebook:
        """Make a job the machine of one, or add the port on which it listens for browsers."""
        body = wire.RunNotebookRequest(name=name, jid=jid, port=port, kind=self._kind)
        return self._transport.post(_ADDRESS, body, wire.Notebook)

    def get(self, name: str) -> wire.Notebook:
        """Return what is known of one."""
        body = wire.NotebookRequest(name=name, kind=self._kind)
        return self._transport.post(f"{_ADDRESS}/get", body, wire.Notebook)

    def list(self) -> list[wire.Notebook]:
        """Return all of this kind by name, without tokens."""
        body = wire.ListNotebooksRequest()
        listed = self._transport.post(f"{_ADDRESS}/list", body, wire.NotebooksListed)
        return [each for each in listed.notebooks if each.kind == self._kind]

    def set_password(self, name: str, password: str | None) -> None:
        """Set the second password of one, or revoke it."""
        body = wire.NotebookPasswordRequest(name=name, password=password, kind=self._kind)
        self._transport.post(f"{_ADDRESS}/password", body, Answer)

    def delete(self, name: str) -> None:
        """Forget one that does not run."""
        body = wire.DeleteNotebookRequest(name=name, kind=self._kind)
        self._transport.post(f"{_ADDRESS}/delete", body, Answer)
