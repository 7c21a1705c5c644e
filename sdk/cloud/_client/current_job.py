"""The job that this process runs, if it runs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud._config.settings import ClientSettings
from cloud._http.job_socket import SupervisorClient
from cloud._http.transport import ServerAddress

if TYPE_CHECKING:
    from collections.abc import Callable


class CurrentJob:
    """Gives the address of the API, with the token of the job that runs in this process now.

    A process runs one job after another. When the jid in the environment changes, the token is
    requested again.

    Args:
        supervisor: The supervisor of the slot.
        read_jid: Returns the jid in the environment.
    """

    def __init__(self, supervisor: SupervisorClient, read_jid: Callable[[], int | None]) -> None:
        self.supervisor = supervisor
        self._read_jid = read_jid
        self._address: ServerAddress | None = None
        self._granted_jid: int | None = None

    @classmethod
    def here(cls) -> CurrentJob | None:
        """Return the job of this process, or None if it runs none."""
        socket = ClientSettings.read().job_socket
        if socket is None:
            return None
        return cls(SupervisorClient(socket), lambda: ClientSettings.read().jid)

    def address(self) -> ServerAddress:
        """Return the URL of the API with the job's token.

        Raises:
            CloudConnectionError: When the supervisor does not answer.
        """
        jid = self._read_jid()
        if self._address is None or jid is None or jid != self._granted_jid:
            grant = self.supervisor.grant()
            self._address, self._granted_jid = ServerAddress(grant.url, grant.token), jid
        return self._address
