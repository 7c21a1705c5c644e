"""The job this process belongs to, if it does: where its own calls go, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud._config.settings import ClientSettings
from cloud._http.transport import ServerAddress
from cloud._jobs.job_socket import Line

if TYPE_CHECKING:
    from collections.abc import Callable


class CurrentJob:
    """Gives the address to talk to, with the token of whatever job runs in this process now.

    A child runs one job after the other: the jid in the environment tells when the token is
    another's.
    """

    def __init__(self, line: Line, jid: Callable[[], int | None]) -> None:
        self.line = line
        self._jid = jid
        self._address: ServerAddress | None = None
        self._granted: int | None = None

    @classmethod
    def here(cls) -> CurrentJob | None:
        """The job of this process, or None where there is none."""
        line = ClientSettings.read().line
        return None if line is None else cls(Line(line), lambda: ClientSettings.read().jid)

    def address(self) -> ServerAddress:
        """Where the API is, and what opens it now.

        Raises:
            CloudConnectionError: When the supervisor does not answer.
        """
        jid = self._jid()
        if self._address is None or jid is None or jid != self._granted:
            grant = self.line.grant()
            self._address, self._granted = ServerAddress(grant.url, grant.token), jid
        return self._address
