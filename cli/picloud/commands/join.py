"""`picloud join`."""

from __future__ import annotations

from cloud._client.current import client

from picloud.options.arguments import Jids, Timeout
from picloud.options.arguments import jids as read_jids


def join(jids: Jids, timeout: Timeout = None) -> None:
    """Wait until jobs have ended.

    Exits with 3 when a job failed (its traceback is on standard error) and with 4 after a timeout.

    \b
    Examples:
      $ picloud join 7
      $ picloud join 7,9-12 --timeout 60
    """  # noqa: D301 - \b keeps the lines apart
    order = read_jids(*jids)
    client().join(order, timeout, show=True)
