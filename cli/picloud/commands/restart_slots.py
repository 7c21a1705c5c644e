"""`picloud restart-slots`."""

from __future__ import annotations

from cloud._client.current import client

from picloud import output
from picloud.options.arguments import AsJson  # noqa: TC001 - typer reads annotations when it runs


def restart_slots(json: AsJson = False) -> None:
    """Run the next jobs in new slots, with new Python processes.

    Jobs that are running are not affected: each slot ends before its next job. Slots notice by
    themselves that a package was installed or upgraded; this is for everything else that a Python
    process reads only once.

    \b
    Examples:
      $ picloud restart-slots
    """  # noqa: D301 - \b keeps the lines apart
    count = client().restart_slots()
    if json:
        output.as_json({"slots": count})
    else:
        output.hint(f"{count} {'slot ends' if count == 1 else 'slots end'} before the next job.")
