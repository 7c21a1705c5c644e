"""What importing costs, and where it works."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

HEAVY = {
    "asyncio",
    "boto3",
    "consul",
    "falcon",
    "gunicorn",
    "hvac",
    "picloud_api",
    "picloud_driver",
    "requests",
    "rich",
    "sqlite3",
    "typer",
    "urllib3",
    "uvicorn",
}

ELSEWHERE = """
import sys

class Elsewhere:
    '''A system without the modules that only Unix has.'''
    def find_spec(self, name: str, path=None, target=None):
        if name in {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Elsewhere())
import cloud
import cloud._http.connections, cloud._client.local_server, cloud._client.simulator
import picloud.app
"""


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def _seconds(code: str) -> float:
    best = 60.0
    for _ in range(5):
        started = time.perf_counter()
        _run(code)
        best = min(best, time.perf_counter() - started)
    return best


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules a fresh process has after `import cloud`."""
    return set(json.loads(_run("import sys, json, cloud; print(json.dumps([*sys.modules]))")))


def test_importing_cloud_loads_nothing_heavy(loaded: set[str]) -> None:
    """A client needs neither the server's packages, nor the CLI's, nor the network yet."""
    assert not loaded & HEAVY


def test_importing_cloud_loads_few_modules(loaded: set[str]) -> None:
    """A number to notice: more than this is worth a look at what came in."""
    assert len(loaded) <= 245


def test_importing_cloud_is_fast() -> None:
    """Within 300 ms of a bare interpreter on a busy machine; about 60 ms on a quiet one."""
    assert _seconds("import cloud") - _seconds("import json") < 0.3


def test_the_command_line_starts_fast() -> None:
    """`picloud --help` is there before anybody wonders: it loads little, and nothing it may not
    need in the end.
    """
    code = "import sys, json, picloud.app; print(json.dumps([*sys.modules]))"
    loaded = set(json.loads(_run(code)))

    assert not loaded & (HEAVY - {"typer"} | {"email", "importlib.metadata"})
    assert len(loaded) <= 325
    assert _seconds("import picloud.app") - _seconds("import json") < 0.6


def test_client_and_command_line_import_on_every_system() -> None:
    """Where fcntl, pwd, resource or termios do not exist, a client works all the same."""
    assert _run(ELSEWHERE) == ""
