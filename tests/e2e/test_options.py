"""Options of call and map, end to end: each has the effect that it promises."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def infinite_loop() -> None:
    """The job of the documentation: "start a job which will never end"."""
    while True:
        time.sleep(0.01)


def test_a_runaway_job_is_ended(client: Client) -> None:
    """The promise: "You can specify a maximum runtime in minutes, such that, if a job exceeds its
    maximum, it will be automatically killed."
    """
    jid = client.call(infinite_loop, _max_runtime=0.01)

    with pytest.raises(CloudException) as caught:
        client.result(jid, WAIT_S)

    assert caught.value.status == "killed"
    assert "time limit: the job ran longer than its maximum runtime of 0.01 minutes" in str(
        caught.value
    )
    assert "in infinite_loop" in str(caught.value)
    assert "time.sleep(0.01)" in str(caught.value)


def test_a_job_within_its_limit_is_left_alone(client: Client) -> None:
    """A limit that is not reached changes nothing."""
    assert client.result(client.map(abs, [-1, -2], _max_runtime=1), WAIT_S) == [1, 2]


def test_jobs_with_kill_process_share_no_interpreter(client: Client) -> None:
    """The promise: jobs "may be run in the same interpreter as previous jobs", unless
    `_kill_process` disables that.
    """
    processes = client.result(client.map(lambda _: os.getpid(), range(6), _kill_process=True))

    assert len(set(processes)) == 6


def test_variables_of_the_caller_are_seen_by_the_job(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named variables are copied from here, a dict sets its values, and none is left afterwards."""
    monkeypatch.setenv("GREETING", "hello from here")

    named = client.call(os.getenv, "GREETING", _os_env_vars=["GREETING"])
    given = client.call(os.getenv, "GREETING", _os_env_vars={"GREETING": "hello you"})
    client.join([named, given], WAIT_S)
    plain = client.map(lambda _: os.getenv("GREETING"), range(4))

    assert client.result([named, given, *plain], WAIT_S) == [
        "hello from here",
        "hello you",
        *[None] * 4,
    ]


def test_libraries_start_a_thread_for_each_core_of_the_job(client: Client) -> None:
    """By the variable that they read, which a job may have otherwise."""
    usual = client.call(os.getenv, "OMP_NUM_THREADS")
    other = client.call(os.getenv, "OMP_NUM_THREADS", _os_env_vars={"OMP_NUM_THREADS": "3"})

    assert client.result([usual, other], WAIT_S) == ["1", "3"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"_env": "base/lenny"},
            "There is no base 'base/lenny' on this server",
        ),
        ({"_env": "numpy-2"}, "There is no environment 'numpy-2' in your account"),
        ({"_vol": ["data", "more"]}, "There is no volume 'data' in your account"),
        ({"_depends_on": 10**12}, "There is no job 1000000000000 in your account"),
    ],
)
def test_names_that_do_not_exist_are_refused_at_submit(
    client: Client, wrong: dict[str, object], message: str
) -> None:
    """A submit that names something unknown makes no job."""
    with pytest.raises(CloudException, match=message):
        client.call(abs, -1, **wrong)
    with pytest.raises(CloudException, match=message):
        client.map(abs, [-1], **wrong)


def test_jobs_with_a_lower_number_run_first(begin: Callable[..., Stack], tmp_path: Path) -> None:
    """The promise: "PiCloud will attempt to schedule jobs with the lower priority number first",
    "jobs with the same priority are run in FIFO [...] order", and the default is 5.
    """
    stack = begin(slots=1)
    client = stack.client()
    gate, order = stack.shared / "gate", stack.shared / "order"

    def wait(path: str) -> None:
        from pathlib import Path

        while not Path(path).exists():
            time.sleep(0.01)

    def note(path: str, name: str) -> None:
        from pathlib import Path

        with Path(path).open("a") as file:
            file.write(f"{name} ")

    blocker = client.call(wait, str(gate))
    until(lambda: client.status(blocker) == "processing", "the slot is taken")
    jids = [
        client.call(note, str(order), "9", _priority=9),
        client.call(note, str(order), "default-1"),
        client.call(note, str(order), "5", _priority=5),
        client.call(note, str(order), "1", _priority=1),
        client.call(note, str(order), "default-2"),
        client.call(note, str(order), "0", _priority=0),
    ]
    gate.touch()

    client.join([blocker, *jids], WAIT_S)
    assert order.read_text().split() == ["0", "1", "default-1", "5", "default-2", "9"]
    client.close()


@pytest.mark.parametrize("restartable", [True, False])
def test_a_job_whose_slot_dies(begin: Callable[..., Stack], restartable: bool) -> None:
    """The promise: a hardware failure "will then result in the job being given a status of error,
    rather than the job being restarted on another server" with `_restartable=False`; by default it
    is restarted.
    """
    stack = begin(slots=1)
    client = stack.client()
    begun, gate = stack.shared / "begun", stack.shared / "gate"

    def job(begun: str, gate: str) -> int:
        from pathlib import Path

        with Path(begun).open("a") as file:
            file.write("x")
        while not Path(gate).exists():
            time.sleep(0.01)
        return len(Path(begun).read_text())

    jid = client.call(job, str(begun), str(gate), _restartable=restartable)
    until(begun.exists, "the job has begun")
    for slot in stack.slots():
        slot.kill()

    if restartable:
        until(lambda: len(begun.read_text()) > 1, "it begins again")
        gate.touch()
        assert client.result(jid, WAIT_S) == 2
    else:
        with pytest.raises(CloudException, match="the job is not restartable"):
            client.result(jid, WAIT_S)
        assert client.status(jid) == "error"
        assert begun.read_text() == "x"
    client.close()


def test_callbacks_are_called_here(client: Client) -> None:
    """`_callback` is called with the jid of each job that is done, `_callback_on_error` with the
    jid of each that failed, was killed, or is stalled.
    """

    def odd_fails(number: int) -> int:
        if number % 2:
            raise ValueError(number)
        return number

    good: list[int] = []
    bad: list[int] = []
    jids = client.map(odd_fails, range(20), _callback=good.append, _callback_on_error=bad.append)
    stalled = client.call(abs, -1, _depends_on=jids[1], _callback_on_error=bad.append)
    killed = client.call(infinite_loop, _callback=good.append, _callback_on_error=bad.append)
    client.kill(killed)

    until(lambda: len(good) + len(bad) == 22, "all callbacks were called")
    assert sorted(good) == list(jids[::2])
    assert sorted(bad) == sorted([*jids[1::2], stalled, killed])


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_serialization_brings_results_back(client: Client, level: int) -> None:
    """With any serialization, values that it supports arrive unchanged."""
    value = {"a": [1, 2.5, "x", b"y", None], "b": (1, {2})}

    jids = client.map(lambda value: [value, value], [value, "text"], _fast_serialization=level)

    assert client.result(jids, WAIT_S) == [[value, value], ["text", "text"]]


def test_plain_pickle_says_what_it_does_not_take(client: Client) -> None:
    """With 2, a result that only cloudpickle supports is an error that says so."""
    with pytest.raises(CloudException, match="Cannot send the arguments"):
        client.call(abs, lambda: 1, _fast_serialization=2)
    jid = client.call(lambda: lambda: 1, _fast_serialization=2)

    with pytest.raises(CloudException, match="the result cannot be pickled"):
        client.result(jid, WAIT_S)


def throw(_: object = None) -> tuple[float, str | None]:
    """A random number, and the one for generators of the job's own."""
    return random.random(), os.environ.get("PICLOUD_SEED")


def test_random_numbers_are_reproducible_with_a_seed(client: Client) -> None:
    """The promise: "it depends on the seed and the job's place in the map only"."""
    first = client.result(client.map(throw, range(20), _seed=7), WAIT_S)
    free = client.result(client.map(throw, range(20)), WAIT_S)
    again = client.result(client.map(throw, range(20), _seed=7, _kill_process=True), WAIT_S)

    assert first == again
    assert len({number for number, _ in first + free}) == 40
    assert len({variable for _, variable in first}) == 20
    assert {variable for _, variable in free} == {None}
    assert client.result(client.call(throw, _seed=7), WAIT_S) == first[0]


def test_a_job_runs_in_the_directory_that_it_is_told_to(
    client: Client, stack: Stack, tmp_path: Path
) -> None:
    """Where slots share the files of the server; elsewhere the option is refused in a sentence."""
    (tmp_path / "data.csv").write_text("1,2")

    def read() -> str:
        return Path("data.csv").read_text()

    if stack.name != "embedded":
        with pytest.raises(CloudException, match="do not share your files"):
            client.call(read, _cwd=tmp_path)
        return
    assert client.result(client.call(read, _cwd=tmp_path), WAIT_S) == "1,2"
    with pytest.raises(CloudException, match=r"data\.csv") as failed:
        client.result(client.call(read), WAIT_S)
    assert "A relative path begins there, and not where your script is." in str(failed.value.value)
    with pytest.raises(CloudException, match=r"cannot run in .*: No such file"):
        client.result(client.call(read, _cwd=tmp_path / "missing"), WAIT_S)
