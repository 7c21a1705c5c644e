"""An extension of JupyterLab in the job of a notebook: it changes the second password."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import msgspec
from jupyter_server.auth import passwd
from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError, authenticated

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

PATH: Final = "picloud/password"
_FORBIDDEN: Final = 403
_SECRET_BYTES: Final = 32


class SecondPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request: the new password, or None to revoke it."""

    password: str | None


class PasswordHandler(APIHandler):  # type: ignore[misc]  # the library has no types
    """Changes the second password, and signs everybody out."""

    @authenticated  # type: ignore[untyped-decorator]  # as above
    async def post(self) -> None:
        """Use a new password from now on; return its hash, which the owner has stored."""
        if not self.token_authenticated:
            raise HTTPError(_FORBIDDEN, "Only the owner may change the password.")
        body = msgspec.json.decode(self.request.body, type=SecondPassword)
        hashed = passwd(body.password) if body.password is not None else None
        provider: Any = self.identity_provider
        provider.hashed_password = hashed or ""
        # The cookies of all who are signed in are signed with this.
        self.application.settings["cookie_secret"] = os.urandom(_SECRET_BYTES)
        _close_connections(self.application.settings)
        self.finish({"hash": hashed})


def _close_connections(settings: dict[str, Any]) -> None:
    """Close the WebSockets of kernels and terminals: they were let in when they were opened."""
    for connection in [*ZMQChannelsWebsocketConnection._open_sockets]:  # noqa: SLF001 - `close_all` leaves WebSockets open
        connection.websocket_handler.close()
    manager = settings.get("terminal_manager")
    for terminal in manager.terminals.values() if manager is not None else ():
        for client in [*terminal.clients]:
            client.close()


def _load_jupyter_server_extension(server: ServerApp) -> None:
    path = url_path_join(server.web_app.settings["base_url"], PATH)
    server.web_app.add_handlers(".*$", [(path, PasswordHandler)])
