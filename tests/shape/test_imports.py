"""What importing costs, and on which systems it works."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

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
[row.load() for row in picloud.app.COMMANDS]
"""

EACH_COMMAND = """
import json, os, sys
from picloud.app import COMMANDS

loaded = {}
for row in COMMANDS:
    reading, writing = os.pipe()
    if os.fork() == 0:
        row.load()
        names = [name for name in sys.modules if name.startswith("picloud.commands.")]
        os.write(writing, json.dumps([names, len(sys.modules)]).encode())
        os._exit(0)
    os.wait()
    loaded[row.name] = json.loads(os.read(reading, 1000))
print(json.dumps(loaded))
"""


STANDARD = "import asyncio, http.server, unittest.mock, xml.dom.minidom"


def _run(code: str) -> str:
    # Without this variable later runs find compiled modules, as those of users do.
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


def _starts_within(limit_s: float, code: str) -> bool:
    """Whether code takes less processor time than a limit, beyond what `import json` takes.

    On a machine that is busy with other work most runs take longer: one in 25 has to be fast.
    """
    return any(_seconds(code) - _seconds("import json") < limit_s for _ in range(25))


def _seconds(code: str) -> float:
    """Return the processor time of a fresh interpreter that runs the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules of a fresh process after `import cloud`."""
    return set(json.loads(_run("import sys, json, cloud; print(json.dumps([*sys.modules]))")))


def test_importing_cloud_loads_nothing_heavy(loaded: set[str]) -> None:
    """A client needs neither the packages of the server or of the CLI, nor the network yet."""
    assert not loaded & HEAVY


def test_importing_cloud_loads_nothing_that_requests_alone_need(loaded: set[str]) -> None:
    """Pickling, the wire and sockets are half of the time, and the first request imports them."""
    later = {"cloudpickle", "msgspec", "picloud_model.wire", "picloud_pickle", "socket"}

    assert not loaded & {*later, "cloud._client.client", "pathlib"}


def test_importing_cloud_loads_few_modules(loaded: set[str]) -> None:
    """If the number is exceeded, look at what is newly imported."""
    assert len(loaded) <= 115


def test_importing_cloud_is_fast() -> None:
    """About as fast as some modules of the standard library, whatever else the machine does."""
    assert any(_seconds("import cloud") < 1.3 * _seconds(STANDARD) for _ in range(25))


def test_the_command_line_starts_fast() -> None:
    """`picloud --help` appears at once: few modules are loaded, and none that most commands do not
    need.
    """
    code = "import sys, json, picloud.app; print(json.dumps([*sys.modules]))"
    loaded = set(json.loads(_run(code)))

    assert not loaded & (HEAVY - {"typer"} | {"email", "importlib.metadata"})
    assert len(loaded) <= 310  # a noun adds none
    assert _starts_within(0.6, "import picloud.app")


def test_a_command_imports_its_own_module_only() -> None:
    """No command waits for the modules of another one."""
    loaded = json.loads(_run(EACH_COMMAND))

    assert {name: modules for name, (modules, _) in loaded.items() if len(modules) != 1} == {}
    assert max(count for _, count in loaded.values()) <= 325


def test_client_and_command_line_import_on_every_system() -> None:
    """A client works without fcntl, pwd, resource and termios."""
    assert _run(ELSEWHERE) == ""
