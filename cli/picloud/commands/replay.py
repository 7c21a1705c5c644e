"""`picloud replay`."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from cloud import CloudException
from cloud._client.current import client
from cloud._config.settings import read_variables

from picloud import exits, output
from picloud.options.arguments import OneJid  # noqa: TC001 - typer reads it

if TYPE_CHECKING:
    from pathlib import Path

    from cloud._diagnosis.code_editing import CodeEditing
    from cloud._diagnosis.replay import Replay


def replay(
    jid: OneJid,
    pdb: Annotated[
        bool, typer.Option("--pdb", help="If it fails, look around in Python's debugger.")
    ] = False,
    edit: Annotated[
        bool, typer.Option("--edit", help="Edit its function first, in $VISUAL or $EDITOR.")
    ] = False,
    submit: Annotated[
        bool, typer.Option("--submit", help="Make a new job of it; print its job id.")
    ] = False,
) -> None:
    """Run a job again, here, and print its result.

    The job runs in this process with the function, arguments and modules that it was sent with,
    not those that you have edited since; a breakpoint() in them stops here. The packages are those
    of this Python; other differences from the job are printed to standard error. The job on the
    server does not change.

    With --edit, the module that its function is in is opened in your editor first, or the function
    alone if it is one of the main program. The job runs with what you save, here, or with --submit
    as a new job; your own files do not change.

    Exits with 3 when it fails here; the traceback is on standard error.

    \b
    Examples:
      $ picloud replay 7
      $ picloud replay 7 --pdb
      $ picloud replay 7 --submit
      8
      $ picloud replay 7 --edit --submit
      9
    """  # noqa: D301 - \b keeps the lines apart
    from cloud._diagnosis.replay import Replay, submit_again  # noqa: PLC0415 - few commands need it

    if submit and pdb:
        raise typer.BadParameter("a new job has no debugger.", param_hint="--pdb")
    if submit:
        edited = Replay(client(), jid, _editing()) if edit else None
        output.text(str(submit_again(client(), jid, edited)))
        return
    ready = Replay(client(), jid, _editing() if edit else None)
    for difference in ready.differences:
        output.hint(f"Job {jid} differs: {difference}.")
    output.text(output.printable(_run(ready, debug=pdb)))


def _editing() -> CodeEditing:
    """Return what opens code in the user's editor."""
    from cloud._diagnosis.code_editing import CodeEditing  # noqa: PLC0415 - few replays need it

    found = read_variables(("VISUAL", "EDITOR"))
    editor = found.get("VISUAL") or found.get("EDITOR") or "vi"

    def open_editor(file: Path) -> None:
        try:
            # What the user has named as their editor.
            subprocess.run([*shlex.split(editor), str(file)], check=True)  # noqa: S603
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise CloudException(
                f"The editor did not end well, nothing was run: {error}. Set EDITOR to another one."
            ) from error

    return CodeEditing(open_editor)


def _run(ready: Replay, *, debug: bool) -> Any:
    """Run a job and return its result; show how it fails."""
    try:
        return ready.run()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it raises is how it fails
        output.error(f"Job {ready.inputs.jid} fails here, too:\n{ready.trace_of(error)}")
        if debug:
            from pdb import post_mortem  # noqa: PLC0415 - few want it

            sys.stdout.flush()
            post_mortem(error.__traceback__)
        raise typer.Exit(exits.JOB_FAILED) from None
