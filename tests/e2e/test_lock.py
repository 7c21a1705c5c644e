"""`cloud.Lock`, `Semaphore`, `Leader` and `picloud lock`, on every stack."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import cloud
import pytest
from cloud import CloudException

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited


@pytest.fixture
def name(client: Client) -> Iterator[str]:
    """The name of a lock."""
    with current_client(client):
        yield f"lock-{uuid4().hex[:12]}"


def test_jobs_and_programs_take_turns(name: str) -> None:
    """A job that asks for a lock of a program waits for its release, and numbers grow."""

    def taken(name: str) -> int:
        with cloud.Lock(name) as lock:
            return lock.fence

    with cloud.Lock(name) as lock:
        jid = cloud.call(taken, name)
        with pytest.raises(CloudException, match=r"This thread holds Lock.* already"):
            cloud.Lock(name).acquire(blocking=False)
        mine = lock.fence
        lock.check()

    assert cloud.result(jid) > mine
    with pytest.raises(CloudException, match="is not held here: acquire it first"):
        lock.release()


def test_what_dies_holds_nothing(name: str, client: Client) -> None:
    """Seconds after kill -9 of a program its lock is free, and at once after any end of a job.

    A program that is killed while it waits for the lock does not delay the next one.
    """

    def keeps(name: str) -> bool:
        return cloud.Lock(name).acquire()

    def dies(name: str) -> None:
        cloud.Lock(name).acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    source = f"import cloud; cloud.Lock({name!r}).acquire(); print('held', flush=True); input()"
    waits = f"import cloud; print('waits', flush=True); cloud.Lock({name!r}).acquire()"
    environment = {
        **os.environ, "PICLOUD_URL": client.address.url, "PICLOUD_API_KEY": client.address.key
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", source],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        assert not cloud.Lock(name).acquire(blocking=False)
        with subprocess.Popen(
            [sys.executable, "-c", waits], env=environment, stdout=subprocess.PIPE, text=True
        ) as waiter:
            assert waiter.stdout is not None
            assert waiter.stdout.readline() == "waits\n"
            of_job = f"{name}-job"
            assert cloud.result(cloud.call(keeps, of_job)) is True
            waiter.kill()
        program.kill()
    died_at = time.monotonic()

    with pytest.raises(CloudException):
        cloud.result(cloud.call(dies, of_job))
    for each in (of_job, name):
        with cloud.Lock(each):
            assert time.monotonic() - died_at < 30


def test_a_semaphore_lets_so_many_in(name: str) -> None:
    """Threads share an object; another number of tokens is refused while it is held."""
    semaphore = cloud.Semaphore(name, 2)
    inside, most = [], []

    def enter() -> None:
        with semaphore:
            inside.append(1)
            most.append(len(inside))
            until(lambda: len(most) > 1, "a second one inside")
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert max(most) == 2
    with semaphore, pytest.raises(CloudException, match="is held with 2 tokens, not 3 tokens"):
        cloud.Semaphore(name, 3).acquire()


def test_a_broken_lock_is_noticed(name: str, picloud: Callable[..., Exited]) -> None:
    """The list shows its holder, which gets an error from its next check and its release."""
    lock = cloud.Leader(name)
    lock.acquire()
    assert lock.leads
    (listed,) = [
        each for each in json.loads(picloud("lock", "list", "--json").out) if each["name"] == name
    ]
    assert [(each["jid"], each["fence"]) for each in listed["holders"]] == [(None, lock.fence)]
    assert re.search(rf"{name}\s+1 of 1\s+a program", picloud("lock", "list").out)

    assert picloud("lock", "break", name).out == ""
    with pytest.raises(CloudException, match="was lost while it was held here"):
        lock.check()
    assert not lock.leads
    with cloud.Lock(name), pytest.raises(CloudException, match="was lost while it was held here"):
        lock.release()
    assert name not in picloud("lock", "list").out
    again = picloud("lock", "break", name)
    assert (again.code, f"No lock {name!r} is held" in again.err) == (1, True)
