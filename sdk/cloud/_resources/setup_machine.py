"""Setup machines of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import environment as environment_wire
from picloud_model.wire import setup_machine as wire
from picloud_model.wire.tunnel import CertificateIssued, TunnelOpened

from cloud._resources.tunnel import opened_stream

if TYPE_CHECKING:
    import socket

    from cloud._http.transport import Transport

_ADDRESS: Final = "/v1/environments/setup"


class SetupMachineClient:
    """Opens, saves and closes setup machines."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def open(
        self, name: str, base: str | None = None, desc: str | None = None
    ) -> wire.SetupMachine:
        """Begin to open the machine of an environment, which is new if there is a base."""
        body = wire.OpenSetupRequest(name=name, base=base, desc=desc)
        return self._transport.post(_ADDRESS, body, wire.SetupMachine)

    def get(self, name: str) -> wire.SetupMachine:
        """Return what is known of a machine."""
        body = wire.SetupRequest(name=name)
        return self._transport.post(f"{_ADDRESS}/get", body, wire.SetupMachine)

    def save(self, name: str) -> environment_wire.Environment:
        """Begin to save what a machine has become."""
        body = wire.SaveSetupRequest(name=name)
        return self._transport.post(f"{_ADDRESS}/save", body, environment_wire.Environment)

    def connect_shell(self, name: str) -> socket.socket:
        """Return a socket at whose other end an SSH server runs in a machine in a container.

        Raises:
            CloudException: When there is no machine, or it has stopped.
            CloudConnectionError: When the gateway cannot be reached.
        """
        body = wire.SetupShellRequest(name=name)
        opened = self._transport.post(f"{_ADDRESS}/ssh", body, TunnelOpened)
        return opened_stream(self._transport, opened)

    def certify(self, name: str, public_key: str) -> CertificateIssued:
        """Return an SSH certificate of some minutes for a machine in a container."""
        body = wire.SetupCertificateRequest(name=name, public_key=public_key)
        return self._transport.post(f"{_ADDRESS}/certificate", body, CertificateIssued)

    def close(self, name: str) -> None:
        """End a machine."""
        self._transport.post(f"{_ADDRESS}/close", wire.CloseSetupRequest(name=name), Answer)
