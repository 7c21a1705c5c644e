"""`picloud up`: the embedded stack in the foreground, from its first line to its last process."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e import processes
from tests.e2e.command_line import PICLOUD
from tests.e2e.foreground import environment, python, run, up, wait_until_gone
from tests.polling import until

if TYPE_CHECKING:
    from pathlib import Path

BUSY = "import time\nprint(cloud.map(time.sleep, [600] * 3)[0])"


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C on the terminal ends the server, the slots and the jobs in them, with status 0."""
    with up(tmp_path) as terminal:
        jid = python(tmp_path, BUSY)
        until(lambda: "processing" in run(tmp_path, PICLOUD, "status", jid), "the job runs")
        assert len(processes.of_stack(tmp_path / "data")) > 4

        terminal.press_ctrl_c()

        assert terminal.process.wait(15) == 0
        wait_until_gone(tmp_path / "data")
        assert "Traceback" not in terminal.shown


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, "hang up"], ids=str)
def test_however_it_ends_nothing_is_left(tmp_path: Path, how: signal.Signals | str) -> None:
    """No process outlives `picloud up`, even if it is killed or its terminal is closed."""
    with up(tmp_path) as terminal:
        jid = python(tmp_path, BUSY)
        until(lambda: "processing" in run(tmp_path, PICLOUD, "status", jid), "the job runs")

        if isinstance(how, signal.Signals):
            terminal.process.send_signal(how)
        else:
            terminal.hang_up()
        terminal.process.wait(15)

        wait_until_gone(tmp_path / "data")


def test_jobs_and_results_stay_for_the_next_time(tmp_path: Path) -> None:
    """The promise: "Jobs and results stay in the data directory for the next time"; the server has
    the same address, where clients may be waiting for it.
    """
    with up(tmp_path) as terminal:
        address = _address(terminal.shown)
        assert python(tmp_path, "print(cloud.result(cloud.call(pow, 2, 10), timeout=60))") == "1024"
        unfinished = python(tmp_path, "import time\nprint(cloud.call(time.sleep, 3))")
        terminal.press_ctrl_c()
        terminal.process.wait(15)

    with up(tmp_path) as terminal:
        assert _address(terminal.shown) == address
        assert python(tmp_path, "print(cloud.result(1), cloud.call(abs, -3))") == "1024 3"
        assert (
            python(tmp_path, f"print(cloud.result([{unfinished}, 3], timeout=60))") == "[None, 3]"
        )
        terminal.press_ctrl_c()
        assert terminal.process.wait(15) == 0
    wait_until_gone(tmp_path / "data")


def test_a_copy_of_the_data_is_a_backup(tmp_path: Path) -> None:
    """As docs/how-to/operate.md says: a server that is stopped and copied, and whose data are then
    destroyed, is restored with its results, and its unfinished jobs go on.
    """
    data, copy = tmp_path / "data", tmp_path / "copy"
    with up(tmp_path) as terminal:
        assert python(tmp_path, "print(cloud.result(cloud.call(pow, 2, 10), timeout=60))") == "1024"
        python(tmp_path, "import time\ncloud.call(time.sleep, 3)")
        terminal.press_ctrl_c()
        terminal.process.wait(15)
    run(tmp_path, "cp", "-a", str(data), str(copy))
    shutil.rmtree(data)

    run(tmp_path, "cp", "-a", str(copy), str(data))

    with up(tmp_path) as terminal:
        assert python(tmp_path, "print(cloud.result([1, 2], timeout=60))") == "[1024, None]"
        doctor = run(tmp_path, PICLOUD, "admin", "doctor", "--data", str(data), "--job")
        assert "problem" not in doctor
        terminal.press_ctrl_c()
        terminal.process.wait(15)


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    """Two servers never share a data directory: the second one says so in a line, the first one
    goes on.
    """
    with up(tmp_path):
        again = subprocess.run(
            [PICLOUD, "up", "--data", str(tmp_path / "data"), "--port", "0"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert again.returncode == 1
        assert again.stdout == ""
        assert again.stderr.count("\n") == 1
        assert "error: PiCloud is already running at" in again.stderr
        assert python(tmp_path, "print(cloud.result(cloud.call(abs, -1), timeout=60))") == "1"


def test_a_second_server_gives_the_profile_back(tmp_path: Path) -> None:
    """While it runs, the profile names it; afterwards the first server again."""
    with up(tmp_path) as first:
        address = _address(first.shown)
        jid = python(tmp_path, "print(cloud.call(abs, -5))")
        with up(tmp_path, data_name="other") as second:
            assert "and will again when this server ends" in second.shown
            assert python(tmp_path, "print(cloud.connection_info()['server_url'])") == _address(
                second.shown
            )
            second.press_ctrl_c()
            second.until_shown(f"Profile local names {address} again.")
            assert second.process.wait(15) == 0
        assert python(tmp_path, f"print(cloud.result({jid}, timeout=60))") == "5"
    wait_until_gone(tmp_path / "other")


def test_up_mends_the_profile_of_a_running_server(tmp_path: Path) -> None:
    """After the command, Python uses the running server."""
    with up(tmp_path):
        url = python(tmp_path, "print(cloud.connection_info()['server_url'])")
        run(tmp_path, PICLOUD, "profile", "remove", "local")

        again = run(
            tmp_path,
            *(PICLOUD, "up", "--data", str(tmp_path / "data"), "--detach"),
            *("--workers", "7", "--port", "9"),
        )

        assert f"PiCloud is already running at {url}" in again
        port = url.rpartition(":")[2]
        assert f"port     {port}, not 9: a running server keeps its port" in again
        assert "slots    2, not 7: a running server keeps its slots" in again
        assert python(tmp_path, "print(cloud.result(cloud.call(abs, -1), timeout=60))") == "1"


def test_another_profile_leaves_the_default_alone(tmp_path: Path) -> None:
    """A server with a profile of its own is used only where that is named."""
    with (
        up(tmp_path) as first,
        up(tmp_path, "--profile", "second", data_name="other") as second,
    ):
        ask = "print(cloud.connection_info()['server_url'])"
        assert python(tmp_path, ask) == _address(first.shown)
        assert _address(second.shown) in run(tmp_path, PICLOUD, "profile", "show", "second")
    wait_until_gone(tmp_path / "other")


def test_unfinished_jobs_are_named_at_the_next_start(tmp_path: Path) -> None:
    """Their number and their jids, as they go on; also if another program has the port by then."""
    with up(tmp_path) as terminal:
        address = _address(terminal.shown)
        jids = python(tmp_path, "import time\nprint(cloud.map(time.sleep, [600] * 3))")
        terminal.press_ctrl_c()
        terminal.process.wait(15)

    port = int(address.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), up(tmp_path) as terminal:
        assert _address(terminal.shown) != address
        assert jids == "range(1, 4)"
        assert "jobs     3 unfinished jobs go on: 1-3" in terminal.shown
    wait_until_gone(tmp_path / "data")


def _address(shown: str) -> str:
    found = re.search(r"running at (http://127\.0\.0\.1:\d+)", shown)
    assert found is not None, shown
    return found[1]


def test_a_port_that_is_taken_is_said_in_a_line(tmp_path: Path) -> None:
    """A port that another program listens on is refused with what to do."""
    with up(tmp_path) as terminal:
        address = re.search(r"http://127\.0\.0\.1:(\d+)", terminal.shown)
        assert address is not None
        again = subprocess.run(
            [PICLOUD, "up", "--data", str(tmp_path / "other"), "--port", address[1]],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert f"127.0.0.1:{address[1]}" in again.stderr
    assert "--port" in again.stderr
