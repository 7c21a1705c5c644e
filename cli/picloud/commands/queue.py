"""`picloud queue`."""

from __future__ import annotations

import json as json_text
import math
import shlex
import sys
from pathlib import Path  # noqa: TC003 - Typer reads it
from typing import Annotated

import typer
from cloud import CloudException, queue
from picloud_model.errors import missing_name

from picloud import output, tables, units
from picloud.completion import names
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson, Timeout, Words, parsed
from picloud.options.handler import (  # noqa: TC001 - Typer reads it
    InFlight,
    MaxJobs,
    NewMaxJobs,
    PerSecond,
)

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

NewName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a queue.")]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a queue.", autocompletion=names.queues)
]


@app.callback()
def queues_() -> None:
    """Pass messages between programs and jobs.

    \b
    Examples:
      $ picloud queue create numbers
      $ picloud queue push numbers 1 2 3
      $ picloud queue count numbers
      3
      $ picloud queue pop numbers
      1
      2
      3
    """  # noqa: D301 - \b keeps the lines apart


@app.command()
def create(name: NewName) -> None:
    """Create a queue, unless it exists already.

    \b
    Examples:
      $ picloud queue create numbers
    """  # noqa: D301 - \b keeps the lines apart
    queue.get(name)


@app.command("list")
def list_queues(*, json: AsJson = False) -> None:
    """Print the names of your queues.

    \b
    Examples:
      $ picloud queue list
      $ picloud queue list --json
    """  # noqa: D301 - \b keeps the lines apart
    names = [each.name for each in queue.list()]
    if json:
        output.as_json(names)
        return
    output.names(names, empty="No queues.")


@app.command()
def info(name: Name, *, json: AsJson = False) -> None:
    """Print the settings of a queue and the number of its messages.

    \b
    Examples:
      $ picloud queue info numbers
      $ picloud queue info numbers --json
    """  # noqa: D301 - \b keeps the lines apart
    known = queue.CloudQueue(name).info()
    if json:
        output.as_json(known)
        return
    times = {field: units.exact(known[field]) for field in ("created", "oldest") if known[field]}
    # An hour of counts is for programs.
    del known["per_10_s"]
    tables.show_fields(known | times)


@app.command()
def count(name: Name) -> None:
    """Print the number of messages that can be taken now.

    \b
    Examples:
      $ picloud queue count numbers
    """  # noqa: D301 - \b keeps the lines apart
    output.text(str(queue.CloudQueue(name).count()))


@app.command()
def push(
    name: Name,
    messages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MESSAGE...", help="Messages; by default the lines of standard input."
        ),
    ] = None,
    *,
    parse: Annotated[
        bool, typer.Option("--parse", help="Read each message as JSON, not as text.")
    ] = False,
    delay: Annotated[
        float,
        typer.Option("--delay", min=0, metavar="SECONDS", help="Time until they can be taken."),
    ] = 0,
) -> None:
    """Add messages to a queue.

    They are texts, or with --parse any values that JSON can hold.

    \b
    Examples:
      $ picloud queue push urls http://a.example http://b.example
      $ picloud queue push points '{"x": 1, "y": 2}' --parse
      $ ls | picloud queue push names
    """  # noqa: D301 - \b keeps the lines apart
    texts = messages or sys.stdin.read().splitlines()
    if not texts:
        output.hint("Standard input is empty: no message was added.")
        return
    values = [parsed(text) for text in texts] if parse else texts
    queue.CloudQueue(name, encoding="json").push(values, delay)


@app.command()
def pop(
    name: Name,
    *,
    max_count: Annotated[
        int,
        typer.Option(
            "--max-count",
            "-n",
            min=1,
            max=1000,
            metavar="N",
            help="Maximum number of messages to take.",
        ),
    ] = 10,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0, metavar="SECONDS", help="Time to wait for the first message."
        ),
    ] = 0,
    json: AsJson = False,
) -> None:
    """Print messages, one in a line, and remove them from the queue.

    \b
    Examples:
      $ picloud queue pop numbers
      $ picloud queue pop numbers -n 100 --timeout 60
    """  # noqa: D301 - \b keeps the lines apart
    popped = queue.CloudQueue(name).pop(max_count, timeout)
    if json:
        texts = (output.to_json(each) for each in popped)
        output.as_json([json_text.loads(text) if text else None for text in texts])
        return
    for each in popped:
        output.text(output.printable(each))


@app.command()
def attach(
    name: Name,
    command: Words,
    *,
    output_queue: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="NAME",
            help="Output queue (repeatable).",
            autocompletion=names.queues,
        ),
    ] = None,
    error_queue: Annotated[
        str | None,
        typer.Option(
            "--errors", metavar="NAME", help="Queue for failures.", autocompletion=names.queues
        ),
    ] = None,
    max_parallel_jobs: MaxJobs = 1,
    readers_per_job: Annotated[
        int,
        typer.Option("--readers-per-job", metavar="N", help="Messages handled at once by a job."),
    ] = 1,
    per_second: PerSecond = None,
    in_flight: InFlight = None,
    allow_cycle: Annotated[
        bool, typer.Option("--allow-cycle", help="Allow NAME itself as an output queue.")
    ] = False,
) -> None:
    """Run a command for each message.

    It reads the message, and what it prints is pushed into the output queues. A single word is a
    command line for /bin/sh; several words are a program and its arguments. A command that is
    attached already is replaced.

    \b
    Examples:
      $ picloud queue attach urls --output pages -j 5 'xargs curl -sf'
      $ picloud queue attach names --output sorted --errors failed sort
    """  # noqa: D301 - \b keeps the lines apart
    from cloud._queues.shell_handler import ShellHandler  # noqa: PLC0415 - as in `attach`

    line = command[0] if len(command) == 1 else shlex.join(command)
    outputs = [queue.CloudQueue(each, encoding="json") for each in output_queue or []]
    on_error = {Exception: queue.CloudQueue(error_queue, encoding="json")} if error_queue else {}
    queue.CloudQueue(name).attach(
        ShellHandler(line),
        outputs,
        readers_per_job=readers_per_job,
        max_parallel_jobs=max_parallel_jobs,
        max_per_second=per_second,
        max_in_flight=in_flight,
        on_error=on_error,
        allow_cycle=allow_cycle,
    )


@app.command()
def detach(name: Name) -> None:
    """Detach the handler of a queue.

    Its jobs finish the messages that they have.

    \b
    Examples:
      $ picloud queue detach urls
    """  # noqa: D301 - \b keeps the lines apart
    queue.CloudQueue(name).detach()


@app.command()
def pause(name: Name) -> None:
    """Let the handler of a queue receive no messages until it is resumed.

    Its jobs finish the messages that they have.

    \b
    Examples:
      $ picloud queue pause urls
    """  # noqa: D301 - \b keeps the lines apart
    queue.CloudQueue(name).pause()


@app.command()
def resume(name: Name) -> None:
    """Let the handler of a queue go on after a pause.

    \b
    Examples:
      $ picloud queue resume urls
    """  # noqa: D301 - \b keeps the lines apart
    queue.CloudQueue(name).resume()


@app.command()
def limit(
    name: Name,
    *,
    max_parallel_jobs: NewMaxJobs = None,
    per_second: PerSecond = None,
    in_flight: InFlight = None,
) -> None:
    """Change the limits of a handler while it works.

    If it has more jobs, the newest finish the messages that they have, and end. 0 messages a second
    or in flight means any number.

    \b
    Examples:
      $ picloud queue limit urls -j 20
      $ picloud queue limit urls --per-second 2.5 --in-flight 10
    """  # noqa: D301 - \b keeps the lines apart
    if max_parallel_jobs is None and per_second is None and in_flight is None:
        raise CloudException("Give a limit: --max-parallel-jobs, --per-second or --in-flight.")
    queue.CloudQueue(name).limit(
        max_parallel_jobs, max_per_second=per_second, max_in_flight=in_flight
    )


@app.command()
def drain(
    name: Name,
    *,
    timeout: Timeout = None,
) -> None:
    """Wait until all messages of a queue have been handled.

    \b
    Examples:
      $ picloud queue drain urls --timeout 600
    """  # noqa: D301 - \b keeps the lines apart
    queue.CloudQueue(name).drain(math.inf if timeout is None else timeout)


@app.command()
def graph(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...", help="Queues to begin with; by default all that come first."
        ),
    ] = None,
    *,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write a drawing as SVG.")
    ] = None,
) -> None:
    """Draw queues, and the handlers that connect them.

    \b
    Examples:
      $ picloud queue graph
      $ picloud queue graph urls --svg pipeline.svg
    """  # noqa: D301 - \b keeps the lines apart
    from picloud import queue_graph  # noqa: PLC0415 - few commands draw

    pipeline = queue.pipeline()
    present = {each["name"] for each in pipeline}
    for name in names or ():
        if name not in present:
            raise CloudException(missing_name("queue", name, present))
    if svg is not None:
        try:
            svg.write_text(queue_graph.svg(pipeline, names or ()), encoding="utf-8")
        except OSError as error:
            raise CloudException(f"Cannot write {svg}: {error.strerror}.") from error
        return
    if pipeline:
        output.text(queue_graph.text(pipeline, names or ()))


@app.command()
def retry(name: Name) -> None:
    """Put failed messages back into their queue.

    Prints their number.

    \b
    Examples:
      $ picloud queue retry failed
    """  # noqa: D301 - \b keeps the lines apart
    output.text(str(queue.CloudQueue(name, encoding="json").retry()))


@app.command()
def purge(name: Name) -> None:
    """Remove all messages of a queue.

    \b
    Examples:
      $ picloud queue purge numbers
    """  # noqa: D301 - \b keeps the lines apart
    queue.CloudQueue(name).purge()


@app.command()
def delete(name: Name) -> None:
    """Delete a queue with its messages, if it exists.

    \b
    Examples:
      $ picloud queue delete numbers
    """  # noqa: D301 - \b keeps the lines apart
    queue.CloudQueue(name).delete()
