"""`picloud wait-for`."""

from __future__ import annotations

from typing import Annotated

import cloud
import typer
from picloud_model.wire import LARGEST_PORT

from picloud import output
from picloud.completion import jobs, values
from picloud.help_pages import HelpfulGroup
from picloud.options import arguments
from picloud.options.arguments import AsJson, OneJid, Timeout  # noqa: TC001 - Typer reads it

app = typer.Typer(
    rich_markup_mode=None,
    cls=HelpfulGroup,
    help="""Wait until jobs have a status, or a job listens on a port.

    \b
    Examples:
      $ picloud wait-for status 7 processing
      $ picloud wait-for port 7 8000
    """,
)


@app.command()
def status(
    jids: Annotated[
        str,
        typer.Argument(metavar="JIDS", help="Job ids: 7 or 7,9-12.", autocompletion=jobs.jids),
    ],
    test_status: Annotated[
        str,
        typer.Argument(
            metavar="STATUS",
            help="Status, or a list of statuses any of which is enough: done,error.",
            autocompletion=values.statuses,
        ),
    ],
    timeout: Timeout = None,
    *,
    json: AsJson = False,
) -> None:
    """Wait until jobs have a status, or one of several.

    If a job ends with another status, exits with 3 when it failed and with 1 when it is done.
    Exits with 4 after a timeout.

    \b
    Examples:
      $ picloud wait-for status 7 processing
      $ picloud wait-for status 7,9-12 done,error --timeout 60
    """  # noqa: D301 - \b keeps the lines apart
    order = arguments.jids(jids)
    statuses = cloud.wait_for.status(order, arguments.statuses(test_status, "STATUS"), timeout)
    if json:
        output.as_json(
            [{"jid": jid, "status": each} for jid, each in zip(order, statuses, strict=True)]
        )


@app.command()
def port(
    jid: OneJid,
    port: Annotated[
        int,
        typer.Argument(metavar="PORT", help="Port that the job opens.", min=1, max=LARGEST_PORT),
    ],
    protocol: Annotated[str, typer.Option(metavar="tcp|udp", help="Protocol of the port.")] = "tcp",
    timeout: Timeout = None,
    *,
    json: AsJson = False,
) -> None:
    """Wait until a job listens on a port, and print the address at which it is public.

    Prints nothing if it is private.

    Exits with 1 when the job ends without having opened the port, and with 4 after a timeout.

    \b
    Examples:
      $ picloud wait-for port 7 8000
      $ curl http://$(picloud wait-for port 7 8000 --timeout 30)
    """  # noqa: D301 - \b keeps the lines apart
    address = cloud.wait_for.port(jid, port, protocol, timeout)
    if json:
        output.as_json(address)
    elif address["port"] is None:
        cure = f"picloud forward {jid} {port}" if protocol == "tcp" else "a program in the job"
        output.hint(f"Job {jid} listens; its port is not public, but {cure} reaches it.")
    else:
        output.text(f"{address['address']}:{address['port']}")
