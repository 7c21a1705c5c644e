"""What the commands for notebooks and desktops have in common."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import cloud
import typer
from picloud_model.job import ENDED

from picloud import output, tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.notebook import MachineKind

LocalPort = Annotated[
    int,
    typer.Option(
        "--local-port",
        min=0,
        max=65535,
        metavar="PORT",
        help="Port of this machine; any free one by default.",
    ),
]
Revoke = Annotated[bool, typer.Option("--revoke", help="Remove the second password.")]


def forward(
    kind: MachineKind,
    name: str,
    local_port: int,
    timeout: float | None,
    show: Callable[[str], object] | None = None,
) -> None:
    """Wait until a machine runs, and forward a local port to it until it ends or Ctrl-C.

    Args:
        kind: Which of them it is.
        name: Its name.
        local_port: The port; 0 for a free one.
        timeout: How many seconds to wait.
        show: Opens the URL, and returns whether it could; without it the URL is printed.
    """
    from cloud import tunnel  # noqa: PLC0415 - only these commands need sockets
    from cloud._notebook import session  # noqa: PLC0415 - as above

    def show_wait(jid: int) -> None:
        output.hint(f"Waiting until job {jid} runs {session.TITLES[kind]}; Ctrl-C stops.")

    found = session.ready(name, timeout, show_wait, kind)
    assert found.port is not None
    with tunnel.forward(found.jid, found.port, local_port) as forwarded:
        address = session.url(found, forwarded.port)
        if show is None or not show(address):
            output.text(address)
        await_end(kind, found.jid)


def await_end(kind: MachineKind, jid: int) -> None:
    """Wait until a machine has ended, or Ctrl-C."""
    output.hint(f"The {kind} is job {jid}; Ctrl-C stops forwarding, not the {kind}.")
    try:
        cloud.wait_for.status(jid, list(ENDED))
    except KeyboardInterrupt:
        return
    output.hint(f"Job {jid} has ended.")


def show_list(found: list[dict[str, Any]], *, empty: str, json: bool) -> None:
    """Print machines with their last jobs."""
    if json:
        output.as_json(found)
        return
    rows = [
        (
            each["name"],
            str(each["jid"]),
            each["status"],
            each["volume"],
            "yes" if each["password"] else "",
        )
        for each in found
    ]
    columns = ("name", "jid", "status", "volume", "password")
    tables.show(tables.Columns(columns, flexible=("name", "volume")), rows, empty=empty)


def read_password() -> str:
    """Return a password that is typed twice, or read from standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed
