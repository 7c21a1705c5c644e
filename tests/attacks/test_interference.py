"""Interference: a job that writes to what its process shares with the supervisor of its slot.

The job fails, with a cause of its own; its slot lives and runs the next job.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import stat
import struct
import subprocess
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import psutil
import pytest
from cloud import CloudException
from picloud_model import pack

from tests.attacks.own_pipes import pipes, report_done, write
from tests.polling import until

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def done(*report: Any) -> bytes:
    """Return a forged end of the first job of the first assignment."""
    body = msgspec.msgpack.encode([1, 0, list(report)])
    return struct.pack("<I", len(body)) + body


FORGED = {
    "garbage": b"\xff" * 64,
    "a frame of 4 GiB": b"\xff\xff\xff\xff",
    "an empty frame": b"\0\0\0\0",
    "nested arrays": struct.pack("<I", 60_000) + b"\x91" * 60_000,
    "another job": done(7, 1, 5, 0, 1.0, 2.0, b""),
    "another attempt": done(0, 9, 5, 0, 1.0, 2.0, b""),
    "no end": done(0, 1, 2, 0, 1.0, 2.0, b""),
    "no time": done(0, 1, 5, 0, float("nan"), 2.0, b""),
    "a blob": done(0, 1, 5, 0, 1.0, 2.0, b"", ["../../x", 1]),
    "an info": done(0, 1, 5, 0, 1.0, 2.0, b"", None, ["", 5, b"\xc1"]),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_a_forged_frame_is_the_error_of_the_job(client: Client, forged: bytes) -> None:
    """Whatever a job writes into the pipe of results, only the job itself fails."""

    def forge() -> None:
        write(forged)
        signal.pause()

    jid = client.call(forge, _kill_process=True, _label="forge")

    with pytest.raises(CloudException, match="interfered with its slot"):
        client.result(jid, WAIT_S)
    assert client.result(client.call(abs, -3), WAIT_S) == 3


def test_full_pipes_do_not_block_the_supervisor(client: Client) -> None:
    """A job may open its pipes anew and fill them: the next job runs in another process."""

    def fill() -> None:
        for end in pipes():
            with contextlib.suppress(OSError):
                other = os.open(f"/proc/self/fd/{end}", os.O_WRONLY | os.O_NONBLOCK)
                while True:
                    os.write(other, b"\x01" * 4096)

    jid = client.call(fill)
    client.join(jid, WAIT_S, ignore_errors=True)

    assert client.result(client.call(abs, -3), WAIT_S) == 3


def test_a_flood_of_wake_ups_is_bounded(client: Client) -> None:
    """A job that keeps waking its supervisor is killed at its time limit, as any other."""

    def flood() -> None:
        sockets = pipes(stat.S_ISSOCK)
        while True:
            for end in sockets:
                with contextlib.suppress(OSError):
                    os.write(end, b"w" * 4096)

    begun = time.monotonic()
    jid = client.call(flood, _max_runtime=1 / 60)

    with pytest.raises(CloudException, match="time limit"):
        client.result(jid, WAIT_S)
    assert time.monotonic() - begun < 30
    assert client.result(client.call(abs, -3), WAIT_S) == 3


def test_a_job_may_cut_its_output(client: Client) -> None:
    """A job that shortens the file of its output loses only its output."""

    def cut(size: int) -> int:
        os.write(1, b"x" * 3_000_000)
        for stream in (1, 2):
            os.ftruncate(stream, size)
        return size

    for size in (0, 2**40):
        assert client.result(client.call(cut, size), WAIT_S) == size


@pytest.mark.parametrize("spins", [False, True])
def test_a_job_that_reports_its_end_is_ended(client: Client, stack: Stack, *, spins: bool) -> None:
    """A job that reports "done" and runs on is ended within seconds, with what it started."""
    mark = stack.shared / f"on-{uuid4().hex}"
    parcel = pack.seal(pickle.dumps(7))

    def run_on() -> None:
        sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
        report_done(parcel)
        part = mark.with_suffix(".part")
        part.write_text(f"{os.getpid()} {sleeper.pid}")
        part.rename(mark)
        while True:
            if not spins:
                signal.pause()

    assert client.result(client.call(run_on), WAIT_S) == 7
    until(mark.exists, "the job runs on", 30.0)
    pids = [int(pid) for pid in mark.read_text().split()]
    until(lambda: not any(map(psutil.pid_exists, pids)), "the job has ended", 30.0)
    assert client.result(client.call(abs, -3), WAIT_S) == 3
