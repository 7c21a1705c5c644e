"""A shell server starts without other programs."""

from __future__ import annotations

import ctypes.util
import subprocess
import sys

import pytest
from picloud_worker.tunnel.quick_import import without_library_search


def test_no_program_runs_while_a_shell_server_starts() -> None:
    """Neither ldconfig nor a compiler: each would take as long as a part of the import."""
    script = (
        "import subprocess, sys\n"
        "sys.addaudithook(lambda name, _: name == 'subprocess.Popen' and sys.exit(name))\n"
        "from picloud_worker.tunnel import ssh_server\n"
        "print('imported')"
    )

    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("imported\n", "")


def test_afterwards_libraries_are_found_as_before() -> None:
    """Also if the import fails."""
    before = ctypes.util.find_library
    with pytest.raises(ImportError), without_library_search():
        import picloud_missing  # noqa: F401

    assert ctypes.util.find_library is before
