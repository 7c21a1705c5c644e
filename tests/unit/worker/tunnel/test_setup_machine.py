"""The shells of a setup machine in a container."""

from __future__ import annotations

import os
import socket
import threading

import asyncssh
from picloud_driver.secret import ssh_certificate
from picloud_model.wire import SshOrder, TunnelOrder
from picloud_model.wire.setup_machine import MachineShell
from picloud_model.wire.tunnel import ACCEPTED
from picloud_worker.tunnel import setup_machine

SEED = bytes(range(32))


def test_a_server_presents_its_ticket_and_speaks_ssh() -> None:
    """Its order is no longer in the environment that its shells get; it ends with its client."""
    host = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    ssh = SshOrder(ssh_certificate.public_line(SEED), "a0000001-setup-1", host)
    with socket.create_server(("127.0.0.1", 0)) as gateway:
        order = TunnelOrder(22, gateway.getsockname()[1], "pt_ticket", ssh)
        variables = {"PATH": os.defpath, **MachineShell("127.0.0.1", order).variables()}
        serving = threading.Thread(target=setup_machine.serve, args=(variables,), daemon=True)
        serving.start()
        stream, _ = gateway.accept()
        with stream, stream.makefile("rb") as read:
            ticket = read.readline()
            stream.sendall(ACCEPTED)
            banner = read.readline()
    serving.join(60)

    assert (ticket, banner[:8]) == (b"pt_ticket\n", b"SSH-2.0-")
    assert variables == {"PATH": os.defpath}
    assert not serving.is_alive()


def test_an_order_without_a_shell_is_ignored() -> None:
    """Nothing is dialled."""
    setup_machine.serve(MachineShell("127.0.0.1", TunnelOrder(22, 1, "ticket")).variables())
