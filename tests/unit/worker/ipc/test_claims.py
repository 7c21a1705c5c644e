"""Claims: each job is either started or taken back."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from picloud_worker.ipc.claims import MOST, Claimant, Claims

if TYPE_CHECKING:
    from collections.abc import Iterator

import pytest


@pytest.fixture
def claims() -> Iterator[Claims]:
    """A pipe of claims."""
    pipe = Claims()
    yield pipe
    pipe.close()


def test_jobs_are_claimed_in_order(claims: Claims) -> None:
    """The jobs offered can be started, unless they are taken back."""
    claimant = Claimant(claims.reader)
    claims.offer(5, 1)

    started = [claimant.claim(1) for _ in range(2)]

    assert started == [True, True]
    assert claims.take_back() == 3
    assert not claimant.claim(1)


def test_a_token_is_for_its_assignment_only(claims: Claims) -> None:
    """A child with a withdrawn assignment does not take the tokens of the next one."""
    claimant = Claimant(claims.reader)
    claims.offer(3, 1)
    assert claimant.claim(1)
    assert claims.take_back() == 2
    claims.offer(2, 2)

    assert not claimant.claim(1)
    assert [claimant.claim(2) for _ in range(3)] == [True, True, False]


def test_a_full_offer_fits(claims: Claims) -> None:
    """Offering the most jobs at once does not block."""
    claims.offer(MOST, 255)

    assert claims.take_back() == MOST


def test_a_pipe_filled_by_a_job_blocks_nobody(claims: Claims) -> None:
    """An offer into a full pipe fails at once, and taking back ends at the most jobs."""
    other = os.open(f"/proc/self/fd/{claims.reader}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(other, b"x" * MOST)
    os.close(other)

    assert not claims.offer(1, 1)
    assert claims.take_back() == MOST


@pytest.mark.parametrize("seed", range(20))
def test_two_processes_share_the_jobs(claims: Claims, seed: int) -> None:
    """When a child claims jobs while the supervisor takes them back, each job has one owner."""
    reading, writing = os.pipe()
    claims.offer(MOST, 1)
    pid = os.fork()
    if pid == 0:
        claimant = Claimant(claims.reader)
        count = 0
        while claimant.claim(1):
            count += 1
            if count == 1:
                os.write(writing, b".")
        os.write(writing, count.to_bytes(4, "little"))
        os.kill(os.getpid(), signal.SIGKILL)
    os.read(reading, 1)
    for _ in range(seed * 50):
        pass
    taken = claims.take_back()
    started = int.from_bytes(os.read(reading, 4), "little")
    os.waitpid(pid, 0)
    os.close(reading)
    os.close(writing)

    assert started + taken == MOST
