"""What procfs shows of a process: its CPU, its memory, and where it listens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

from picloud_worker.system import procfs

MB = 1024 * 1024


def test_cpu_and_memory_are_measured() -> None:
    """CPU grows with the work of the process; the peak is at least what it uses now."""
    before = procfs.read(os.getpid())
    held = bytearray(b"x" * 64 * MB)
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass

    usage = procfs.read(os.getpid())

    assert before is not None
    assert usage is not None
    assert usage.cpu_s - before.cpu_s > 0.1
    assert usage.peak_bytes >= usage.memory_bytes > len(held)


def test_a_process_that_exited_has_no_usage() -> None:
    """Its job has the last sample taken."""
    process = subprocess.Popen(["true"])
    process.wait()

    assert procfs.read(process.pid) is None
    assert procfs.listening(process.pid) == {"tcp": [], "udp": []}


def test_descendants_listen_for_a_process() -> None:
    """A server that a job starts as another process is among its ports."""
    text = (
        "import os, socket, time\n"
        "tcp = socket.create_server(('127.0.0.1', 0))\n"
        "udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
        "udp.bind(('::1', 0))\n"
        "print(tcp.getsockname()[1], udp.getsockname()[1], flush=True)\n"
        "time.sleep(60)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as own:
        process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        tcp, udp = (int(port) for port in process.stdout.readline().split())

        ports, of_child = procfs.listening(os.getpid()), procfs.listening(process.pid)

        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert {tcp, own.getsockname()[1]} <= set(ports["tcp"])
        assert of_child == {"tcp": [tcp], "udp": [udp]}
