"""`picloud delete`."""

from __future__ import annotations

from cloud._client.current import client

from picloud import output
from picloud.options.arguments import AsJson, Jids
from picloud.options.arguments import jids as read_jids


def delete(jids: Jids, json: AsJson = False) -> None:
    """Delete the results, output and arguments of finished jobs.

    \b
    Examples:
      $ picloud delete 7
      $ picloud delete 7,9-12
    """  # noqa: D301 - \b keeps the lines apart
    count = client().delete(read_jids(jids))
    if json:
        output.as_json({"deleted": count})
    else:
        output.hint(f"{count} {'job' if count == 1 else 'jobs'} deleted.")
