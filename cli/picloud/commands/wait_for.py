"""`picloud wait-for`."""

from __future__ import annotations

from typing import Annotated

import cloud
import typer
from picloud_model.job import Status

from picloud import output
from picloud.completion import values
from picloud.options.arguments import AsJson, Jids, Timeout
from picloud.options.arguments import jids as read_jids

app = typer.Typer(
    rich_markup_mode=None,
    help="""Wait until a job has got somewhere.

    \b
    Examples:
      $ picloud wait-for status 7 processing
      $ picloud wait-for port 7 8000
    """,
)


@app.command()
def status(
    jids: Jids,
    test_status: Annotated[
        str,
        typer.Argument(
            metavar="STATUS",
            help="A status, or several that will do: done,error.",
            autocompletion=values.statuses,
        ),
    ],
    timeout: Timeout = None,
    *,
    json: AsJson = False,
) -> None:
    """Wait until jobs have a status, or one of several.

    Exits with 3 when a job failed and so will never have it, with 1 when it is done instead, with 4
    when the time is over.

    \b
    Examples:
      $ picloud wait-for status 7 processing
      $ picloud wait-for status 7,9-12 done,error --timeout 60
    """  # noqa: D301 - \b keeps the lines apart
    asked = read_jids(jids)
    found = cloud.wait_for.status(asked, _statuses(test_status), timeout)
    if json:
        output.as_json(
            [{"jid": jid, "status": said} for jid, said in zip(asked, found, strict=True)]
        )


@app.command()
def port(
    jid: Annotated[int, typer.Argument(metavar="JID", min=1, help="A job id.")],
    port: Annotated[int, typer.Argument(metavar="PORT", help="The port that it opens.", min=1)],
    protocol: Annotated[str, typer.Option(help="tcp or udp.")] = "tcp",
    timeout: Timeout = None,
    *,
    json: AsJson = False,
) -> None:
    """Wait until a job listens on a port, and print where to reach it.

    Exits with 1 when the job ends without having opened it, with 4 when the time is over.

    \b
    Examples:
      $ picloud wait-for port 7 8000
      $ curl http://$(picloud wait-for port 7 8000 --timeout 30)
    """  # noqa: D301 - \b keeps the lines apart
    found = cloud.wait_for.port(jid, port, protocol, timeout)
    if json:
        output.as_json(found)
    else:
        output.text(f"{found['address']}:{found['port']}")


def _statuses(text: str) -> list[str]:
    known = [status.value for status in Status]
    found = text.split(",")
    for name in found:
        if name not in known:
            raise typer.BadParameter(
                f"{name!r} is no status; there are {', '.join(known)}.", param_hint="STATUS"
            )
    return found
