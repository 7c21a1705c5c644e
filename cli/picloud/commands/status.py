"""`picloud status`."""

from __future__ import annotations

import cloud

from picloud import output
from picloud.options.arguments import AsJson, Jids
from picloud.options.arguments import jids as read_jids


def status(jids: Jids, json: AsJson = False) -> None:
    """Print the status of jobs.

    \b
    Examples:
      $ picloud status 7
      $ picloud status 7,9-12
      $ picloud status 1-1000 --json
    """  # noqa: D301 - \b keeps the lines apart
    order = read_jids(jids)
    statuses = zip(order, cloud.status(order), strict=True)
    if json:
        output.as_json([{"jid": jid, "status": each} for jid, each in statuses])
    else:
        output.table(("jid", "status"), list(statuses))
