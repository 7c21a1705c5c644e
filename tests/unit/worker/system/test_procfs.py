"""What procfs shows of a process: its CPU, its memory, and where it listens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from picloud_worker.system import procfs

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize("is_mapped", [False, True])
def test_open_files_of_a_mount_are_found(tmp_path: Path, *, is_mapped: bool) -> None:
    """Also those of descendants, and files that are mapped and closed; no file is looked at."""
    (tmp_path / "file").write_bytes(b"x")
    text = (
        "import mmap, os, sys, time\n"
        "file = os.open(sys.argv[1], os.O_RDONLY)\n"
        "mapped = mmap.mmap(file, 1, prot=mmap.PROT_READ)\n"
        "print(open(f'/proc/self/fdinfo/{file}').read().partition('mnt_id:')[2].split()[0])\n"
        "os.stat(file) and print(os.stat(file).st_dev, flush=True)\n"
        "if sys.argv[2]: os.close(file)\n"
        "print(flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", text, str(tmp_path / "file"), "yes" if is_mapped else ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        number, device, _ = (process.stdout.readline().strip() for _ in range(3))
        name = f"{os.major(int(device))}:{os.minor(int(device))}"
        mount = procfs.MountId("none" if is_mapped else number, name if is_mapped else "none")

        found = procfs.has_open(os.getpid(), mount), procfs.has_open(process.pid, mount)
        process.kill()

    assert found == (True, True)
    assert not procfs.has_open(os.getpid(), procfs.MountId("none", "none"))
    assert not procfs.has_open(process.pid, mount)


def test_the_latest_mount_at_a_path_counts() -> None:
    """It hides the ones before; without one there is none."""
    root = procfs.mount_at("/")

    assert root is not None
    assert root.number.isdigit()
    assert procfs.mount_at("/nothing/is/mounted/here") is None
