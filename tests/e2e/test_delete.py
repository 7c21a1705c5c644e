"""`cloud.delete`: what jobs leave is removed for good."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException

from tests.e2e import command_line
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def speak(n: int) -> int:
    """A job with output."""
    print("output of", n)
    return n


def until_there(path: str) -> None:
    """A job that lasts until a file is there."""
    while not __import__("os").path.exists(path):
        __import__("time").sleep(0.01)


@pytest.mark.parametrize("use", ["status", "result", "join", "info", "kill"])
def test_later_use_says_deleted(client: Client, use: str) -> None:
    """The promise: "Once a job is deleted, using its job id in future commands will give an
    error."
    """
    jid = client.call(speak, 1)
    client.join(jid, WAIT_S)

    client.delete(jid)

    with pytest.raises(CloudException, match=f"Job {jid} was deleted") as caught:
        getattr(client, use)(jid)
    assert caught.value.code == "job.deleted"


def test_neighbours_are_not_harmed(client: Client) -> None:
    """Some jobs of a map are deleted; the others keep results and output."""
    jids = client.map(speak, range(100))
    client.join(jids, WAIT_S)

    assert client.delete(jids[::2]) == 50

    assert client.result(jids[1::2], WAIT_S) == list(range(1, 100, 2))
    info = client.info(jids[1::2], "stdout")
    assert [info[jid]["stdout"] for jid in jids[1::2]] == [
        f"output of {n}\n" for n in range(1, 100, 2)
    ]
    with pytest.raises(CloudException, match=f"Job {jids[0]} was deleted"):
        client.result(jids, WAIT_S)


def test_a_job_must_be_finished(client: Client, stack: Stack) -> None:
    """The promise: "A job must be finished for it to be deleted." """
    flag: Path = stack.shared / "unfinished"
    jid = client.call(until_there, str(flag))
    until(lambda: client.status(jid) == "processing", "it runs")

    with pytest.raises(CloudException, match=f"Job {jid} is processing: only finished jobs can"):
        client.delete(jid)

    flag.touch()
    client.join(jid, WAIT_S)
    assert client.delete(jid) == 1


def test_deleting_twice_is_no_error(client: Client) -> None:
    """A repeat finds nothing to do, as after an answer that was lost."""
    jids = client.map(speak, range(3))
    client.join(jids, WAIT_S)

    assert [client.delete(jids), client.delete(jids)] == [3, 0]


@pytest.mark.parametrize("jids", ["7", None, [0], 1.5, [None]])
def test_what_is_no_jid_is_refused(client: Client, jids: Any) -> None:
    """The error is one sentence, and no request is sent."""
    with pytest.raises(CloudException, match="jids must be whole numbers from 1"):
        client.delete(jids)


def test_jobs_of_others_stay(client: Client, other: Client) -> None:
    """A job of another account and one that does not exist look the same; the job is not
    deleted.
    """
    jid = client.call(speak, 3)
    client.join(jid, WAIT_S)

    with pytest.raises(CloudException, match=r"There is no job \d+ in your account"):
        other.delete(int(jid))

    assert client.result(jid, WAIT_S) == 3


def test_a_deleted_job_stays_so(begin: Callable[..., Stack]) -> None:
    """A deleted job stays deleted after every process of the stack was killed."""
    stack = begin()
    with contextlib.closing(stack.client(patient=True)) as client:
        jid = client.call(speak, 1)
        client.join(jid, WAIT_S)
        client.delete(jid)
        stack.kill9()
        stack.start()

        with pytest.raises(CloudException, match=f"Job {jid} was deleted"):
            client.result(jid, WAIT_S)


def test_all_finished_jobs_are_deleted_from_the_shell(
    client: Client, stack: Stack, tmp_path: Path
) -> None:
    """Unfinished jobs and those of other accounts stay; jids and `--all` exclude each other."""
    flag = stack.shared / f"flag-{tmp_path.name}"
    kept = client.call(speak, 2)
    client.join(kept, timeout=WAIT_S)
    key = client.keys.create_account("cleaner").key
    environment = stack.environment() | {
        "PICLOUD_API_KEY": key, "PICLOUD_CONFIG_DIR": str(tmp_path / "config"),
    }  # fmt: skip
    with contextlib.closing(stack.client(key)) as own:
        done, unfinished = own.call(speak, 1), own.call(until_there, str(flag))
        own.join(done, timeout=WAIT_S)

        deleted = command_line.run(environment, "delete", "--all", "--json")

        assert deleted.code == 0
        assert json.loads(deleted.out)["deleted"] == 1
        with pytest.raises(CloudException, match=f"Job {done} was deleted"):
            own.status(done)
        assert command_line.run(environment, "delete", "--all", str(done)).code == 2
        flag.touch()
        assert own.result(unfinished, WAIT_S) is None
    assert client.result(kept, WAIT_S) == 2
