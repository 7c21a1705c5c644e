"""`picloud rest`."""

from __future__ import annotations

import json as json_
import time
from typing import Annotated, Any

import typer
from cloud import rest, shell
from picloud_model import ranges

from picloud import output, results, tables, units
from picloud.completion import endpoints
from picloud.help_pages import HelpfulGroup
from picloud.options import arguments
from picloud.options.arguments import AsJson, Words, without_options
from picloud.options.job import JobOptions, takes_job_options

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)
keys = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)
app.add_typer(keys, name="key")

Label = Annotated[
    str,
    typer.Argument(
        metavar="LABEL", help="Label of the published function.", autocompletion=endpoints.labels
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option("--data", "-d", metavar="NAME=VALUE", help="Value of an argument (repeatable)."),
]


@app.callback()
def endpoints_() -> None:
    """Publish commands as web services, and call what you have published.

    \b
    Examples:
      $ picloud rest publish greet echo hello {name}
      $ picloud rest list
      $ picloud rest invoke square -d x=5
      $ picloud rest remove square
    """  # noqa: D301 - \b keeps the lines apart


@app.command(context_settings={"allow_interspersed_args": False})
@takes_job_options
def publish(
    endpoint_label: Annotated[
        str,
        typer.Argument(metavar="LABEL", help="Label: letters, digits, hyphens, underscores, dots."),
    ],
    command: Words,
    *,
    content_type: Annotated[
        str, typer.Option("--content-type", metavar="TYPE", help="Type of what it prints.")
    ] = "",
    public: Annotated[
        bool, typer.Option("--public", help="Let everybody call it, without a key.")
    ] = False,
    calls_per_minute: Annotated[
        int | None,
        typer.Option("--calls-per-minute", min=1, metavar="N", help="Rate limit of the URL."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin", metavar="URL", help="Origin of pages that may call it (repeatable)."
        ),
    ] = None,
    warm: Annotated[
        int,
        typer.Option("--warm", min=0, max=100, metavar="N", help="Slots that are kept running."),
    ] = 0,
    options: JobOptions,
) -> None:
    """Publish a shell command, and print its URL.

    The values of its template variables are the arguments of each call. Options of picloud must
    precede the label. Functions are published by `cloud.rest.publish`.

    \b
    Examples:
      $ picloud rest publish greet echo hello {name}
      $ picloud rest publish -t f2 --content-type image/png plot ./plot.py {from} {to}
      $ picloud rest publish --public --calls-per-minute 60 greet echo hello {name}
    """  # noqa: D301 - \b keeps the lines apart
    from cloud._endpoints.access import checked_access  # noqa: PLC0415 - this command alone
    from cloud._endpoints.encoding import checked_encoding  # noqa: PLC0415

    checked = options.command(without_options(command), {}, None)
    chosen = options.call_options()
    encoding = checked_encoding("raw", content_type)
    access = checked_access(public, calls_per_minute, origin or [], warm)
    output.text(shell.publish_command(checked, endpoint_label, chosen, encoding, access))


@app.command("list")
def list_endpoints(*, json: AsJson = False) -> None:
    """List your published functions.

    \b
    Examples:
      $ picloud rest list
      $ picloud rest list --json
    """  # noqa: D301 - \b keeps the lines apart
    found = rest.infos()
    if json:
        output.as_json([_readable(each) for each in found])
        return
    now = time.time()
    rows = [
        (each["label"], each["url"], units.moment(each["published"], now), each["function"])
        for each in found
    ]
    names = ("label", "url", "published", "function")
    columns = tables.Columns(names, flexible=("url", "function"), optional=("function",))
    tables.show(columns, rows, empty="No published functions.")


@app.command()
def info(label: Label, *, json: AsJson = False) -> None:
    """Print the URL, parameters and settings of a published function.

    \b
    Examples:
      $ picloud rest info square
      $ picloud rest info square --json
    """  # noqa: D301 - \b keeps the lines apart
    known = rest.info(label)
    if json:
        output.as_json(_readable(known))
        return
    known["published"] = units.exact(known["published"])
    known["parameters"] = ", ".join(
        f"{name}: {each['type']}{'' if each['required'] else ' (optional)'}"
        for name, each in known["parameters"].items()
    )
    tables.show_fields(known)


@app.command()
def invoke(
    label: Label,
    *,
    data: Given = None,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait", "-w", min=0, metavar="SECONDS", help="Wait for the result, and print it."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Call a published function, and print the jid of its job.

    A value is read as JSON if it is JSON, and is text otherwise.

    \b
    Examples:
      $ picloud rest invoke square -d x=5
      $ picloud rest invoke --wait 60 greet -d name=Ada -d times=2
    """  # noqa: D301 - \b keeps the lines apart
    job = rest.invoke(label, **_arguments(data, "-d"))
    if wait is None:
        results.show_submitted(range(job, job + 1), json=json)
    else:
        results.show([job], wait, json=json)


@app.command()
def mapinvoke(
    label: Label,
    *,
    data: Given = None,
    map_data: Annotated[
        list[str] | None,
        arguments.map_data("Values of an argument, one for each call (repeatable)."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Call a published function once for each value, and print the jids of the jobs.

    The nth call receives the nth value of each -n. Values of -d are the same in every call.

    \b
    Examples:
      $ picloud rest mapinvoke square -n x=1,2,3
      $ picloud rest mapinvoke greet -n name=Ada,Alan -d times=2
    """  # noqa: D301 - \b keeps the lines apart
    texts = arguments.assignments(map_data, "-n")
    columns = {
        name: [_value(each) for each in arguments.values(name, text, "-n")]
        for name, text in texts.items()
    }
    count = max(map(len, columns.values()), default=0)
    common = {name: [value] * count for name, value in _arguments(data, "-d").items()}
    for first, last in ranges.collapse(rest.invoke_map(label, **{**common, **columns})):
        results.show_submitted(range(first, last + 1), json=json)


@app.command()
def rollback(
    label: Label,
    *,
    version: Annotated[
        int | None,
        typer.Option(
            "--version", min=1, metavar="N", help="The version; by default the one before."
        ),
    ] = None,
) -> None:
    """Make an earlier version current, and print its number.

    \b
    Examples:
      $ picloud rest rollback square
      $ picloud rest rollback --version 2 square
    """  # noqa: D301 - \b keeps the lines apart
    output.text(str(rest.rollback(label, version)))


@app.command()
def remove(label: Label) -> None:
    """Remove a published function. Jobs of earlier calls go on.

    \b
    Examples:
      $ picloud rest remove square
    """  # noqa: D301 - \b keeps the lines apart
    rest.remove(label)


@keys.callback()
def keys_() -> None:
    """Create, list and revoke keys that call one published function and open nothing else.

    \b
    Examples:
      $ picloud rest key create square
      $ picloud rest key list square
      $ picloud rest key revoke square r0123456789ab
    """  # noqa: D301 - \b keeps the lines apart


@keys.command("create")
def create_key(label: Label, *, json: AsJson = False) -> None:
    """Create a key of a published function; its secret is shown only once.

    Its id is the user name and its secret the password of requests, as curl -u takes both.

    \b
    Examples:
      $ picloud rest key create square
      r0123456789ab:...
    """  # noqa: D301 - \b keeps the lines apart
    created = rest.create_key(label)
    if json:
        output.as_json(created)
    else:
        output.text(f"{created['api_key']}:{created['api_secretkey']}")


@keys.command("list")
def list_keys(label: Label, *, json: AsJson = False) -> None:
    """Print the ids of the keys of a published function, oldest first.

    \b
    Examples:
      $ picloud rest key list square
    """  # noqa: D301 - \b keeps the lines apart
    found = rest.list_keys(label)
    if json:
        output.as_json(found)
        return
    output.names(found, empty="No keys.")


@keys.command("revoke")
def revoke_key(
    label: Label, key: Annotated[str, typer.Argument(metavar="ID", help="Id of the key.")]
) -> None:
    """Revoke a key of a published function; it is refused at once.

    \b
    Examples:
      $ picloud rest key revoke square r0123456789ab
    """  # noqa: D301 - \b keeps the lines apart
    rest.revoke_key(label, key)


def _arguments(texts: list[str] | None, option: str) -> dict[str, Any]:
    return {name: _value(text) for name, text in arguments.assignments(texts, option).items()}


def _value(text: str) -> Any:
    try:
        return json_.loads(text)
    except (ValueError, RecursionError):
        return text


def _readable(known: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a published function with times as text."""
    return {**known, "published": units.iso(known["published"])}
