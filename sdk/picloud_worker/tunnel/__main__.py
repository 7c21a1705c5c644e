"""Serve shells by SSH.

`python -m picloud_worker.tunnel PID PYTHON` serves those of the job of a process, and
`python -m picloud_worker.tunnel setup-machine` those of the container that it runs in.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys

from picloud_model.job_socket import address, shells_name

from picloud_worker.system.virtual_environment import own_python_first
from picloud_worker.tunnel import shell_order
from picloud_worker.tunnel.shell_order import ShellOrder

_STREAM = 3
_ORDER = 4
_MISSING = (
    b"Jobs in this slot have no shell server: install the package asyncssh for the Python of the "
    b"slots.\n"
)


def main(job: int, python: str) -> None:
    """Serve one connection, then wait for what its shells have left running, as ssh does.

    All of that ends when this process does, at the latest with the job.

    Args:
        job: The process id of the child that runs the job.
        python: The interpreter of the slot, which shells find first.
    """
    order = ShellOrder.read(_ORDER)
    with socket.socket(fileno=_STREAM) as stream:
        try:
            from picloud_worker.tunnel import ssh_server  # noqa: PLC0415 - it may be missing
        except ImportError:
            stream.sendall(_MISSING)
            return
        variables = shell_order.environment(job, order.variables)
        path = own_python_first(variables.get("PATH", os.defpath), python)
        environment = {**variables, "PATH": path}
        with announcement(variables.get("PICLOUD_LINE", "")) as announced:
            asyncio.run(ssh_server.serve(stream, order.ssh, environment, announced.close))
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def announcement(name: str) -> socket.socket:
    """Return a connection to the job that lasts as long as the client's.

    A job that wants to know how many shells are open listens; to others there is none.
    """
    connection = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError):
        connection.connect(address(shells_name(name)))
    return connection


def serve_setup_machine() -> None:
    """Serve one connection to a setup machine."""
    from picloud_worker.tunnel import setup_machine  # noqa: PLC0415 - jobs do not need it

    setup_machine.serve(os.environ)


if __name__ == "__main__":
    if sys.argv[1] == "setup-machine":
        serve_setup_machine()
    else:
        main(int(sys.argv[1]), sys.argv[2])
