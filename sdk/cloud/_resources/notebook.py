"""Notebooks of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import notebook as wire

if TYPE_CHECKING:
    from cloud._http.transport import Transport

_ADDRESS: Final = "/v1/notebooks"


class NotebookClient:
    """Records which jobs are notebooks, and what lets their owner and others in."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def run(self, name: str, jid: int, port: int | None = None) -> wire.Notebook:
        """Make a job the machine of a notebook, or add the port on which its JupyterLab listens."""
        body = wire.RunNotebookRequest(name=name, jid=jid, port=port)
        return self._transport.post(_ADDRESS, body, wire.Notebook)

    def get(self, name: str) -> wire.Notebook:
        """Return what is known of a notebook."""
        body = wire.NotebookRequest(name=name)
        return self._transport.post(f"{_ADDRESS}/get", body, wire.Notebook)

    def list(self) -> list[wire.Notebook]:
        """Return all notebooks by name, without tokens."""
        body = wire.ListNotebooksRequest()
        return self._transport.post(f"{_ADDRESS}/list", body, wire.NotebooksListed).notebooks

    def set_password(self, name: str, password: str | None) -> None:
        """Set the second password of a notebook, or revoke it."""
        body = wire.NotebookPasswordRequest(name=name, password=password)
        self._transport.post(f"{_ADDRESS}/password", body, Answer)

    def delete(self, name: str) -> None:
        """Forget a notebook that does not run."""
        self._transport.post(f"{_ADDRESS}/delete", wire.DeleteNotebookRequest(name=name), Answer)
