"""Processes that die together, and what the worker imports at its start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import picloud_worker

ROOM = Path(picloud_worker.__file__).parent
SSH_SERVER = "tunnel.ssh_server"
"""It is imported only by the process that serves a client, and asyncssh imports fcntl itself."""
MODULES = {
    ".".join(file.relative_to(ROOM).with_suffix("").parts) for file in ROOM.rglob("*.py")
} - {SSH_SERVER}


def run(text: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_memory_of_the_supervisor_is_hidden() -> None:
    """The kernel lets no process of the same user read it."""
    output = run(
        "import ctypes; from picloud_worker.system import process_lifetime;"
        "process_lifetime.hide_memory();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )

    assert output == "0"


def test_a_dead_parent_ends_the_process() -> None:
    """A process whose parent has died before it asks exits at once."""
    output = run(
        "import os, subprocess, sys; from picloud_worker.system import process_lifetime;"
        "pid = os.fork() or process_lifetime.set_parent_death_signal(1 << 22, 9);"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )

    assert output == "1"


def test_importing_needs_no_unix_and_no_sdk() -> None:
    """Modules that some systems lack are not imported, nor the SDK and HTTP libraries."""
    output = run(
        "import sys, importlib\n"
        "for name in ('fcntl', 'pwd', 'grp', 'resource', 'termios'): sys.modules[name] = None\n"
        f"for name in {sorted(MODULES)}: importlib.import_module('picloud_worker.' + name)\n"
        "print({'cloud', 'urllib3', 'requests', 'falcon'} & sys.modules.keys())"
    )

    assert output == "set()"
