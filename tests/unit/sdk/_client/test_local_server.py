"""A server of one's own, as a real process."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._client.client import Client
from cloud._client.local_server import LocalServer, _last_message
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress

if TYPE_CHECKING:
    from pathlib import Path
ON_WINDOWS = """
import sys
from cloud._client.local_server import LocalServer
sys.platform = "win32"
LocalServer.start([], None)
"""


def _start(tmp_path: Path, *arguments: str) -> LocalServer:
    own = ["--data", str(tmp_path / "data"), "--port", "0", *arguments]
    return LocalServer.start(own, tmp_path / "server.log")


def test_a_server_that_says_ready_answers(tmp_path: Path) -> None:
    """Its URL and key work at once; after stop the process has ended."""
    server = _start(tmp_path)
    client = Client(ServerAddress(server.ready.url, server.ready.key), Config())

    jid = client.call(pow, 2, 10)
    status = client.status(jid)
    client.close()
    server.stop()

    assert jid == 1
    assert status in ("queued", "processing", "done")
    assert server.wait() == 0


def test_a_server_that_refuses_is_told_in_its_own_words(tmp_path: Path) -> None:
    """A port that is taken is named."""
    server = _start(tmp_path)
    port = server.ready.url.rpartition(":")[2]
    other = tmp_path / "other"
    other.mkdir()

    with pytest.raises(CloudException, match=f"Cannot listen on 127.0.0.1:{port}"):
        _start(other, "--port", port)

    server.stop()


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("Traceback ...\nModuleNotFoundError: No module named 'falcon'\n", r"picloud\[server\]"),
        ("warning\nNo room on the disk.\n\n", "No room on the disk"),
        ("", "ended before it was ready"),
    ],
)
def test_the_last_message_of_a_server(tmp_path: Path, log: str, message: str) -> None:
    """Missing packages are named by the extra that has them; else the last line counts."""
    file = tmp_path / "server.log"
    file.write_text(log)

    assert re.search(message, _last_message(file))


def test_windows_is_told_plainly() -> None:
    """A client works there, a server does not."""
    done = subprocess.run(
        [sys.executable, "-c", ON_WINDOWS], check=False, capture_output=True, text=True
    )

    assert done.stderr.endswith("A server cannot run on Windows; use one on another machine.\n")
