"""`picloud forward`."""

from __future__ import annotations

from typing import Annotated

import cloud
import typer
from picloud_model.job import ENDED
from picloud_model.wire import LARGEST_PORT

from picloud import output
from picloud.options.arguments import OneJid, Timeout  # noqa: TC001 - typer reads them


def forward(
    jid: OneJid,
    ports: Annotated[
        str,
        typer.Argument(
            metavar="PORT[:LOCAL]",
            help="Port that the job listens on, and the local port if it is another one.",
        ),
    ],
    timeout: Timeout = None,
) -> None:
    """Forward a local port to a TCP port of a job, until the job ends or Ctrl-C.

    Waits until the job listens. Only this machine can connect, at 127.0.0.1.

    \b
    Examples:
      $ picloud forward 7 8000
      $ picloud forward 7 8000:8080
      $ picloud forward 7 8000:0
    """  # noqa: D301 - \b keeps the lines apart
    from cloud import tunnel  # noqa: PLC0415 - only this command needs sockets

    port, local_port = _read(ports)
    cloud.wait_for.port(jid, port, "tcp", timeout)
    with tunnel.forward(jid, port, local_port) as forwarded:
        output.text(f"127.0.0.1:{forwarded.port}")
        output.hint(f"Connections go to port {port} of job {jid}; Ctrl-C stops.")
        try:
            cloud.wait_for.status(jid, list(ENDED))
        except KeyboardInterrupt:
            return
    output.hint(f"Job {jid} has ended.")


def _read(text: str) -> tuple[int, int]:
    """Return the port of the job and the local one.

    >>> _read("8000"), _read("8000:0")
    ((8000, 8000), (8000, 0))
    """
    port, colon, local = text.partition(":")
    numbers = [int(each) if each.isdecimal() else -1 for each in (port, local if colon else port)]
    if not 1 <= numbers[0] <= LARGEST_PORT or not 0 <= numbers[1] <= LARGEST_PORT:
        raise typer.BadParameter(
            f"{text!r} is not a port, or two with a colon between them: 8000 or 8000:8080.",
            param_hint="PORT[:LOCAL]",
        )
    return numbers[0], numbers[1]
