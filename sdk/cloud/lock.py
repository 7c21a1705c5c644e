"""`cloud.lock`: which locks, semaphores and leaders are held, and by which jobs.

    cloud.lock.list()
    cloud.lock.break_lock("report")

`cloud.Lock`, `cloud.Semaphore` and `cloud.Leader` take them.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
from datetime import datetime
from typing import Any

from cloud._client.current import client
from cloud._config.border import of_users
from cloud._resources.lock import LockClient
from cloud._sharing.lock import checked_name

__all__ = ["break_lock", "list"]


@of_users
def list() -> builtins.list[dict[str, Any]]:  # noqa: A001 - users write cloud.lock.list
    """Return the locks of your account that are held, by name.

    Returns:
        For each a dict with its `name`, its `tokens`, which are 1 for a lock, and its `holders`:
        for each the `jid` of the job, None for a program, the `fence` number, and `since` when.

    >>> with cloud.Lock("report"):
    ...     [(each["name"], each["tokens"]) for each in cloud.lock.list()]
    [('report', 1)]
    """
    return [
        {
            "name": each.name,
            "tokens": each.tokens,
            "holders": [
                {
                    "jid": holder.jid or None,
                    "fence": holder.fence,
                    "since": datetime.fromtimestamp(holder.acquired_at).astimezone(),
                }
                for holder in each.holders
            ],
        }
        for each in LockClient(client().transport).list()
    ]


@of_users
def break_lock(name: str) -> None:
    """Take a lock away from all of its holders, so that the next one gets it.

    The holders go on, and find out when they release it or check it.

    Args:
        name: The name of the lock, semaphore or leader.

    Raises:
        CloudException: When the name is not allowed, or the lock is not held.

    >>> cloud.lock.break_lock("report")
    Traceback (most recent call last):
    cloud.CloudException: No lock 'report' is held in your account: see `picloud lock list`.
    """
    checked = checked_name(name)  # before a server is looked for
    LockClient(client().transport).break_lock(checked)


def __dir__() -> builtins.list[str]:
    return sorted(__all__)
