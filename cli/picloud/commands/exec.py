"""`picloud exec`."""

from __future__ import annotations

from cloud import shell

from picloud import results
from picloud.options import arguments
from picloud.options.arguments import AsJson, Data, Words  # noqa: TC001 - typer reads annotations when it runs
from picloud.options.job import JobOptions, takes_job_options


@takes_job_options
def execute(
    *,
    command: Words,
    data: Data = None,
    json: AsJson = False,
    options: JobOptions,
) -> None:
    """Run a shell command as a job, and print its jid.

    The result of the job is what the command prints. {NAME} in the command is replaced by a value
    of -d, which is always a single word and never a command; {{NAME}} stands for {NAME}.

    A single word is a command line for /bin/sh; several words are a program and its arguments.
    Options of picloud must precede the command.

    \b
    Examples:
      $ picloud exec echo hello, world
      $ picloud exec -d w1=hello -d w2=world echo {w1}, {w2}
      $ picloud exec -t f2 -c 4 --label nightly 'make -j4 2>&1 | tail'
      $ picloud exec --depends-on 7 --return-file plot.svg ./plot
      $ picloud exec --stdin sort < names.txt
    """  # noqa: D301 - \b keeps the lines apart
    checked = options.command(command, arguments.assignments(data, "-d"))
    jid = shell.execute_command(checked, options.call_options())
    results.show_submitted(range(jid, jid + 1), json=json)
