"""Dependencies: `_depends_on` and `_depends_on_errors`, end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud import CloudException

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0
LONG_S = 150.0
"""Time until slots start again after every server was killed: lost slots are noticed by their
silence.
"""


def opened(path: str) -> str:
    """A job that ends when a file appears."""
    import time
    from pathlib import Path

    while not Path(path).exists():
        time.sleep(0.01)
    return Path(path).read_text()


def fails() -> int:
    """The job of the Primer's chapter on errors."""
    return 1 + "bob"  # type: ignore[operator]


def test_a_job_is_held_until_another_has_finished(client: Client, stack: Stack) -> None:
    """The promise: "Using dependencies, a job can be held in the queue until another job(s) has
    finished."
    """
    gate = stack.shared / "gate"
    first = client.call(opened, str(gate))
    second = client.call(len, "abc", _depends_on=first)
    third = client.map(abs, [-1, -2], _depends_on=[first, second])

    assert client.status([second, *third]) == ["waiting"] * 3
    gate.write_text("open")

    assert client.result([first, second, *third], WAIT_S) == ["open", 3, 1, 2]


@pytest.mark.parametrize("finished", [True, False])
def test_a_job_that_errors_stalls_those_that_depend_on_it(client: Client, finished: bool) -> None:
    """The promise: "By default, if job B depends on job A and job A errors, job B will never run
    and its status will be set to stalled."
    """
    failed = client.call(fails)
    if finished:
        client.join(failed, WAIT_S, ignore_errors=True)
    stalled = client.call(abs, -1, _depends_on=failed)
    after = client.call(abs, -1, _depends_on=range(stalled, stalled + 1))

    with pytest.raises(CloudException, match=f"job {failed}, .* ended in error .*TypeError") as why:
        client.result(stalled, WAIT_S)
    assert why.value.status == "stalled"
    with pytest.raises(CloudException, match=f"job {stalled}, .* is stalled"):
        client.join(after, WAIT_S)
    assert client.status([failed, stalled, after]) == ["error", "stalled", "stalled"]


def test_errors_can_be_ignored(client: Client) -> None:
    """The promise: "Errors can be ignored (allowing job B to run) by using the depends on errors
    setting."
    """
    failed = client.call(fails)

    jid = client.call(abs, -1, _depends_on=failed, _depends_on_errors="ignore")

    assert client.result(jid, WAIT_S) == 1


def test_a_killed_job_stalls_those_that_depend_on_it(client: Client, stack: Stack) -> None:
    """A killed dependency will never be done either; the jobs that wait for it can be
    killed, too.
    """
    first = client.call(opened, str(stack.shared / "never"))
    second, third = (client.call(abs, -1, _depends_on=first) for _ in range(2))

    client.kill(third)
    assert client.status([second, third]) == ["waiting", "killed"]
    client.kill(first)

    with pytest.raises(CloudException, match=f"job {first}, which this one depends on, was killed"):
        client.join(second, WAIT_S)
    assert client.status(third) == "killed"


def test_jobs_of_others_and_missing_ones_are_refused(client: Client, other: Client) -> None:
    """A job of another account and one that does not exist get the same error."""
    own = client.map(abs, range(2000))
    other.join(other.call(abs, -1), WAIT_S)

    for asker, jid in ((other, int(own[-1])), (client, 10**12), (other, 10**12)):
        with pytest.raises(CloudException, match=f"There is no job {jid} in your account"):
            asker.call(abs, -1, _depends_on=[1, jid])


def test_the_use_case_of_the_documentation(stack: Stack, script: Callable[..., str]) -> None:
    """A job that gets the jid of another one finds its result ready."""
    printed = script(
        "import cloud, os, time\n"
        "def job1():\n"
        "    time.sleep(0.2)\n"
        "    return 1\n"
        "def job2(jid):\n"
        "    return jid\n"
        "if __name__ == '__main__':\n"
        "    jid1 = cloud.call(job1)\n"
        "    jid2 = cloud.call(job2, jid1, _depends_on=jid1)\n"
        "    assert cloud.result(jid2) == jid1\n"
        "    print(cloud.status([jid1, jid2]))\n"
    )

    assert printed == "['done', 'done']\n"


def test_a_graph_of_jobs_runs_in_order(client: Client, stack: Stack) -> None:
    """Ten layers of a map, each of which depends on the whole layer before: no job starts too
    early.
    """
    folder = stack.shared / "graph"
    folder.mkdir()

    def job(layer: int, path: str) -> int:
        import os
        from pathlib import Path

        before = len(list(Path(path).glob(f"{layer - 1}-*")))
        (Path(path) / f"{layer}-{os.urandom(8).hex()}").touch()
        return before

    layers: list[range] = []
    for layer in range(10):
        paths = [str(folder)] * 5
        layers.append(
            client.map(job, [layer] * 5, paths, _depends_on=layers[-1] if layers else None)
        )

    printed = client.result(range(layers[0][0], layers[-1][-1] + 1), WAIT_S)

    assert printed == [0] * 5 + [5] * 45


def test_ten_thousand_dependencies(client: Client) -> None:
    """A job can depend on every other job of a large map."""
    jids = client.map(abs, range(20_000))

    last = client.call(abs, -7, _depends_on=jids[::2])

    assert client.result(last, WAIT_S) == 7
    assert set(client.status(jids[::2])) == {"done"}


def test_a_server_that_is_killed_forgets_nobody_who_waits(begin: Callable[..., Stack]) -> None:
    """A server that is killed while jobs wait, run and are released, alone or with all other
    processes, releases all of them in the end.
    """
    stack = begin(slots=2)
    client = stack.client()
    chain = [client.call(abs, 0)]
    for number in range(1, 60):
        chain.append(client.call(abs, number, _depends_on=chain[-1]))
    fan = [client.map(abs, range(50), _depends_on=jid) for jid in chain[::6]]

    def goes_on(done: int) -> None:
        until(lambda: client.status(chain[done]) == "done", f"job {done} of the chain ends", LONG_S)

    goes_on(5)
    stack.kill9_api()
    stack.start()
    goes_on(20)
    stack.restart()
    goes_on(40)
    stack.kill9_api()
    stack.start()

    assert client.result(chain, LONG_S) == list(range(60))
    assert client.result(fan[-1], WAIT_S) == list(range(50))
    client.join([jid for jids in fan for jid in jids], WAIT_S)
    client.close()
