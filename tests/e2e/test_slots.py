"""Slots: where jobs run; how slots start, stay warm, end, and what happens when they are lost."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cloud import rest

from tests.current_client import current_client
from tests.e2e.stacks import is_of_slot, kill
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

pytestmark = pytest.mark.containers

WAIT_S = 60.0


def once_slow(folder: str) -> int:
    """Count the executions of this job; the first one never ends."""
    tries = len(list(Path(folder).iterdir()))
    Path(folder, str(tries)).touch()
    while tries == 0:
        time.sleep(0.1)
    return tries


def test_warm_slots_keep_their_interpreter(client: Client) -> None:
    """The promise: "jobs may be run in the same interpreter as previous jobs" """
    client.join(client.call(abs, 1), WAIT_S)

    pids = {client.result(client.call(os.getpid), WAIT_S) for _ in range(20)}

    assert len(pids) <= 2


def test_no_more_slots_than_asked_for(begin: Callable[..., Stack]) -> None:
    """A stack of two slots never runs more than two jobs at once, and does run two."""
    stack = begin(slots=2)
    client = stack.client()

    def span(_: int) -> tuple[float, float]:
        started = time.monotonic()
        time.sleep(0.05)
        return started, time.monotonic()

    spans = client.result(client.map(span, range(40)), WAIT_S)

    at_once = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(at_once) == 2
    assert len(stack.slots()) == 2
    client.close()


def test_idle_slots_end(begin: Callable[..., Stack]) -> None:
    """A slot without work ends after a set time, unless a published function keeps it warm; new
    work starts one again.
    """
    stack = begin(slots=2, idle_s=1)
    client = stack.client()
    with current_client(client):
        rest.publish(lambda: 1, "warm", warm=1)
    until(lambda: len(stack.slots()) == 1, "a slot has started without a job", WAIT_S)
    client.join(client.call(abs, 1), WAIT_S)  # It has registered first, so it is the one to stay.
    warm = stack.slots()
    client.join(client.map(time.sleep, [0.1] * 20), WAIT_S)

    until(lambda: stack.slots() == warm, "the other slot has ended", WAIT_S)

    with current_client(client):
        rest.remove("warm")
    until(lambda: not stack.slots(), "idle slots have ended", WAIT_S)

    assert not [each for each in stack.processes() if is_of_slot(each)]
    assert client.result(client.call(abs, -1), WAIT_S) == 1
    client.close()


def test_a_job_is_restarted_when_its_slot_is_lost(begin: Callable[..., Stack]) -> None:
    """The promise: "PiCloud assumes it can safely restart jobs that fail while executing": a slot
    that is killed in the middle of a job costs time only.
    """
    stack = begin(slots=1)
    client = stack.client()
    folder = stack.shared / "executions"
    folder.mkdir()
    jid = client.call(once_slow, str(folder))
    until(lambda: list(folder.iterdir()), "the job runs")
    killed_at = time.monotonic()

    kill(stack.slots()[0])

    assert client.result(jid, WAIT_S) == 1
    assert time.monotonic() - killed_at < 30
    client.close()


def test_a_lost_attempt_still_shows_processing(begin: Callable[..., Stack]) -> None:
    """Statuses never go back: a job that had started shows `processing` while it waits to start
    again.
    """
    stack = begin(slots=1)
    client = stack.client()
    folder = stack.shared / "executions"
    folder.mkdir()
    jid = client.call(once_slow, str(folder))
    until(lambda: any(folder.iterdir()), "the job runs")
    until(lambda: client.status(jid) == "processing", "its slot has said so")

    kill(stack.slots()[0])

    seen = set()

    def look() -> bool:
        seen.add(now := client.status(jid))
        return bool(now == "done")

    until(look, "the job is done")
    assert seen == {"processing", "done"}
    client.close()


def known_as(pid: int) -> tuple[str, str]:
    """Return how a process is identified in its container: its pid, and the pid namespace."""
    with contextlib.suppress(OSError):
        numbers = re.findall(
            r"^NSpid:.*\b(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
        )
        return numbers[0], str(Path(f"/proc/{pid}/ns/pid").readlink())
    return "", ""


def test_a_child_that_is_killed_is_an_error_of_its_job_alone(client: Client, stack: Stack) -> None:
    """If another program kills the process of a job, that job is tried again once; when that is
    killed, too, it fails. The slot goes on.
    """
    marker = stack.shared / "child"

    def tell(path: str) -> None:
        Path(path).write_text(f"{os.getpid()} {Path('/proc/self/ns/pid').readlink()}")
        Path(path).rename(f"{path}.pid")
        time.sleep(600)

    jid = client.call(tell, str(marker))
    pid_file = marker.with_suffix(".pid")
    until(pid_file.exists, "the job runs")
    slots = {slot.pid for slot in stack.slots()}
    for _ in range(2):
        until(pid_file.exists, "the job runs")
        pid, namespace = pid_file.read_text().split()
        pid_file.unlink()
        (child,) = (one for one in stack.processes() if known_as(one.pid) == (pid, namespace))
        kill(child)
    client.join(jid, WAIT_S, ignore_errors=True)

    assert client.status(jid) == "error"
    assert client.result(client.map(abs, range(10)), WAIT_S) == list(range(10))
    assert {slot.pid for slot in stack.slots()} & slots
