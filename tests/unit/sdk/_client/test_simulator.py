"""The simulator, as a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from cloud._client.client import Client
from cloud._client.simulator import Simulator
from cloud._config.configuration import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIMULATED = """
import os, signal, sys, cloud
from cloud._client.current import current
cloud.start_simulator()
print(current.simulator._server._process.pid, flush=True)
if sys.argv[1] == "fork" and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
if sys.argv[1] != "exit":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("how", ["exit", "kill", "fork"])
def test_a_simulator_ends_with_its_script(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the script ends, is killed with -9, or is survived by a child it forked."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", SIMULATED, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as script:
        assert script.stdout is not None
        pid = int(script.stdout.readline())
        status = script.wait()

        gone = _until(lambda: _is_gone(pid))

    assert gone
    assert status == (0 if how == "exit" else -signal.SIGKILL)


def test_a_forked_child_leaves_the_simulator_alone(tmp_path: Path) -> None:
    """Only the process that started it may stop it."""
    simulator = Simulator()

    child = os.fork()
    if child == 0:
        simulator.stop()
        os._exit(0)
    os.waitpid(child, 0)
    client = Client(simulator.address, Config())
    jid = client.call(abs, -1)
    client.close()
    simulator.stop()

    assert jid == 1
