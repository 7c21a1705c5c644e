"""The simulator: the embedded stack, run by the script that starts it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e import processes
from tests.e2e.simulator_script import start_script, wait_until_nothing_is_left

if TYPE_CHECKING:
    from pathlib import Path

BUSY = """
import sys, time
import cloud

cloud.start_simulator()
jids = cloud.map(time.sleep, [600] * 3)
while cloud.status(jids[0]) != "processing":
    time.sleep(0.01)
print("running", flush=True)
"""
ENDINGS = {
    "the script ends": "",
    "it exits": "sys.exit(3)",
    "it raises": "raise KeyError",
    "it closes": "cloud.close(); print(cloud.is_simulated())",
    "it starts another": "cloud.start_simulator(force_restart=True)\n"
    "assert cloud.result(cloud.call(abs, -1), timeout=60) == 1",
}


def test_the_simulator_runs_jobs(tmp_path: Path) -> None:
    """`start_simulator()` is all a script needs to run jobs, in other processes of this machine."""
    source = (
        "import os, cloud\n"
        "cloud.start_simulator()\n"
        "print(cloud.result(cloud.map(pow, [2, 3], [10, 2]), timeout=60))\n"
        "print(cloud.is_simulated(), cloud.connection_info()['connection_type'])\n"
        "print(cloud.result(cloud.call(os.getpid), timeout=60) != os.getpid())\n"
    )
    script = start_script(tmp_path, source)

    out, err = script.communicate(timeout=60)

    assert (out, err) == ("[1024, 9]\nTrue simulator\nTrue\n", "")
    wait_until_nothing_is_left(tmp_path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_when_the_script_ends_nothing_is_left(tmp_path: Path, ending: str) -> None:
    """The simulator ends with its script, with all running jobs and files, at once."""
    script = start_script(tmp_path, BUSY + ENDINGS[ending])

    script.communicate(timeout=60)

    wait_until_nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_the_script_is_killed_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    """The simulator ends with its script, also if that is killed."""
    script = start_script(tmp_path, BUSY + "cloud.join(jids)")
    assert script.stdout is not None
    assert script.stdout.readline() == "running\n"
    assert len(processes.of_stack(tmp_path / "tmp")) > 4
    script.send_signal(number)

    script.communicate(timeout=60)

    wait_until_nothing_is_left(tmp_path)


def test_a_forked_child_leaves_the_simulator_alone(tmp_path: Path) -> None:
    """A child that the script forks may use the simulator, and does not end it."""
    source = (
        "import os, cloud\n"
        "cloud.start_simulator()\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    assert cloud.result(cloud.call(abs, -2), timeout=60) == 2\n"
        "    raise SystemExit\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
        "print(cloud.result(cloud.call(abs, -1), timeout=60))\n"
    )
    script = start_script(tmp_path, source)

    out, err = script.communicate(timeout=60)

    assert (out, err) == ("1\n", "")
    wait_until_nothing_is_left(tmp_path)
