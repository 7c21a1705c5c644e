"""Orders for shell servers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from picloud_model.wire import SshOrder
from picloud_worker.tunnel.shell_order import ShellOrder, environment


def test_an_order_is_read_as_it_was_written() -> None:
    """It is in no file, and its private key in no `repr`."""
    order = ShellOrder(SshOrder("ssh-ed25519 A", "a-job-1", "the private key"), {"A": "ü"})

    descriptor = order.written()

    assert str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith("/memfd:")
    assert ShellOrder.read(descriptor) == order
    assert "the private key" not in repr(order)


def test_the_environment_is_that_of_a_process_with_the_variables_of_its_job() -> None:
    """Whatever bytes are in it."""
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        env={"KEPT": "a=b\nc", "REPLACED": "old", "BYTES": "\udcff"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()

        found = environment(process.pid, {"REPLACED": "new", "ADDED": "1"})

        process.stdin.close()
    expected = {"KEPT": "a=b\nc", "REPLACED": "new", "BYTES": "\udcff", "ADDED": "1"}
    assert expected.items() <= found.items()
