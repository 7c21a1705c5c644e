"""Another user of the machine: `python -m tests.attacks.stranger`, started by root.

It reads attempts as JSON from its standard input, makes them as a user without rights, and writes
what came of each as a JSON list.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

STRANGER = 65534
SHUT = "shut"
"""The server refused the connection before it read a request."""
TIMEOUT_S = 30.0


def attempts(*wanted: list[Any]) -> list[str]:
    """Make some attempts as another user; return what came of each."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.attacks.stranger"],
        input=json.dumps(wanted),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return list(json.loads(done.stdout))


def opened(path: str) -> str:
    """Read a file, or list a directory."""
    try:
        return str([*Path(path).iterdir()]) if Path(path).is_dir() else Path(path).read_text()
    except OSError as error:
        return type(error).__name__


def socket_opened(path: str) -> str:
    """Connect to a Unix socket."""
    with socket.socket(socket.AF_UNIX) as made:
        try:
            made.connect(path)
        except OSError as error:
            return type(error).__name__
    return "connected"


def requested(port: int, method: str, path: str, pair: str = "") -> str:
    """Send a request by TLS, with a certificate if there is one; return the status or `SHUT`."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=TIMEOUT_S, context=_tls(pair)
    )
    try:
        connection.request(method, path, body="{}")
        return str(connection.getresponse().status)
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return SHUT


def requested_plainly(port: int, method: str, path: str) -> str:
    """Send a request without TLS; return the status or `SHUT`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body="{}")
        return str(connection.getresponse().status)
    except (ConnectionError, http.client.HTTPException):
        return SHUT


def rpc_opened(port: int, first: int) -> str:
    """Begin a connection to an RPC port by the byte that names its protocol."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as made:
        made.sendall(bytes([first]))
        return _closed(made)


def tls_rpc_opened(port: int, first: int, inner: int, pair: str = "") -> str:
    """Begin an RPC connection by TLS, and then the protocol inside."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as made:
        made.sendall(bytes([first]))
        try:
            with _tls(pair).wrap_socket(made) as secured:
                secured.sendall(bytes([inner]))
                return _closed(secured)
        except (ssl.SSLError, ConnectionError):
            return SHUT


def _closed(made: socket.socket) -> str:
    try:
        return SHUT if made.recv(1) == b"" else "it answered"
    except TimeoutError:
        return "it waits for more"
    except (ssl.SSLError, ConnectionError):
        return SHUT


def _tls(pair: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair:
        context.load_cert_chain(pair)
    return context


def main() -> None:
    """Make all attempts that are on the standard input."""
    wanted = json.load(sys.stdin)
    # Python reads this codec when it is first used, from a directory that may be root's.
    "127.0.0.1".encode("idna")
    os.setgroups([])
    os.setgid(STRANGER)
    os.setuid(STRANGER)
    json.dump([globals()[name](*arguments) for name, *arguments in wanted], sys.stdout)


if __name__ == "__main__":
    main()
