"""`cloud.shortcuts.ssh`: what an SSH client needs to reach a job."""

from __future__ import annotations

from typing import Any, Final

from cloud._client.current import client
from cloud._config.border import of_users
from cloud._resources.ssh import USER
from cloud._ssh.ssh_access import picloud_command, prepared

__all__ = ["get_ssh_info"]

_PORT: Final = 22


@of_users
def get_ssh_info(jid: int, timeout: float | None = None) -> dict[str, Any]:
    """Wait until a job is processing, and return what an SSH client needs to reach it.

    Afterwards `ssh -F CONFIG ADDRESS` opens a shell in the job, with the values that are returned.
    The certificate is valid for 5 minutes; an open connection stays open until the job ends. A
    later call renews it.

    Args:
        jid: The jid of the job.
        timeout: How many seconds to wait; None for no limit.

    Returns:
        The `address`, by which only the configuration file `config` finds the job, its `port`, the
        `username`, and the files `identity` and `certificate`.

    Raises:
        CloudException: When the job ends without processing, or OpenSSH is not installed.
        CloudTimeoutError: When the timeout is reached.
    """
    client().wait_for_status(jid, "processing", timeout)
    files = prepared(int(jid), picloud_command())
    return {
        "address": files.host,
        "port": _PORT,
        "username": USER,
        "identity": str(files.identity),
        "certificate": str(files.certificate),
        "config": str(files.configuration),
    }


def __dir__() -> list[str]:
    """List what users call."""
    return __all__
