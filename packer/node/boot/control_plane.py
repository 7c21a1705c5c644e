#!/opt/picloud/venv/bin/python -P
"""Shut this machine down when its control plane has been gone for long.

control_plane.py [--machine DIR] [--url URL] [--user NAME] [--every SECONDS] [--command COMMAND]

Without servers and API, a client gets no work, and no program takes it away: it only costs money.
The control plane is there while a server of Nomad knows a leader, or while a slot runs here, as
slots end by themselves when the API is gone. DIR/shut-down-after has the minutes after which the
machine ends; without that file, this program ends at once.
"""

from __future__ import annotations

import argparse
import contextlib
import pwd
import shlex
import socket
import ssl
import subprocess
import sys
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

SERVERS: Final = "https://picloud-servers:4646"
SETTING: Final = "shut-down-after"
_LEADER: Final = "/v1/status/leader"
_ANSWER_S: Final = 5.0
_NONE: Final = '""'


def main(arguments: list[str] | None = None) -> int:
    """Wait until the control plane has been gone for as long as the setting says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--machine", type=Path, default=Path("/etc/picloud/machine"), metavar="DIR")
    parser.add_argument("--url", default=SERVERS)
    parser.add_argument("--user", default="picloud-slot", metavar="NAME")
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--command", default="systemctl poweroff", metavar="COMMAND")
    chosen = parser.parse_args(arguments)
    setting = chosen.machine / SETTING
    if not setting.exists():
        print("This machine never shuts itself down.", flush=True)
        return 0
    limit_s = 60 * float(setting.read_text(encoding="utf-8"))
    slots = pwd.getpwnam(chosen.user).pw_uid
    seen_at, is_known = time.monotonic(), True
    while (gone_s := time.monotonic() - seen_at) < limit_s:
        problem = "" if runs_as(slots) else missing(chosen.url, chosen.machine / "secrets")
        if not problem:
            seen_at = time.monotonic()
        elif is_known:
            print(
                f"The control plane is gone: {problem}. Without it, this machine shuts down "
                f"{limit_s / 60:g} minutes after it was last there.",
                file=sys.stderr,
                flush=True,
            )
        is_known = not problem
        time.sleep(min(chosen.every, limit_s))
    print(f"The control plane has been gone for {gone_s / 60:.1f} minutes.", flush=True)
    print("This machine shuts down.", flush=True)
    ended = subprocess.run(shlex.split(chosen.command), check=False)  # noqa: S603 - of root
    return ended.returncode


def runs_as(user: int) -> bool:
    """Return whether a process of a user runs, as slots do.

    Args:
        user: The number of the user.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if process.stat().st_uid == user:
                return True
    return False


def missing(url: str, secrets: Path) -> str:
    """Return why no server of Nomad knows a leader; "" if one does.

    Args:
        url: The address of Nomad; each of the addresses of its name is tried.
        secrets: The directory of the certificate of this machine.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 4646
    problem = f"{host} has no address"
    try:
        context = trust(secrets) if parts.scheme == "https" else None
        addresses = sorted({each[4][0] for each in socket.getaddrinfo(host, port)})
    except OSError as error:
        return f"{url}: {error}"
    for address in addresses:
        try:
            leader = ask(str(address), host, port, context)
        except (OSError, HTTPException) as error:
            problem = f"{address}: {error}"
            continue
        if leader != _NONE:
            return ""
        problem = f"{address} knows no leader"
    return problem


def trust(secrets: Path) -> ssl.SSLContext:
    """Return how servers are trusted, and this machine is known to them."""
    context = ssl.create_default_context(cafile=str(secrets / "ca.pem"))
    context.load_cert_chain(secrets / "cert.pem", secrets / "key.pem")
    return context


def ask(address: str, host: str, port: int, context: ssl.SSLContext | None) -> str:
    """Return the leader that one server knows, in JSON.

    Raises:
        OSError: When it does not answer, or refuses to.
        HTTPException: When its answer cannot be read.
    """
    connection = HTTPConnection(host, port, timeout=_ANSWER_S)
    with contextlib.closing(connection), contextlib.ExitStack() as closing:
        plain = closing.enter_context(socket.create_connection((address, port), _ANSWER_S))
        connection.sock = context.wrap_socket(plain, server_hostname=host) if context else plain
        connection.request("GET", _LEADER)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace").strip()
    if answer.status != HTTPStatus.OK:
        raise OSError(f"GET {_LEADER} has status {answer.status}")
    return body


if __name__ == "__main__":
    sys.exit(main())
