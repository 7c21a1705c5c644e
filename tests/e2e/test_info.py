"""`cloud.info`: what jobs print, log and use, while they run and afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException
from picloud_model.info import InfoKey

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def speak(n: int) -> int:
    """A job that writes to every stream and log."""
    print("Output", n)
    sys.stderr.write(f"An Error {n}\n")
    logging.getLogger("mine").info("a message %d", n)
    ctypes.CDLL(None).printf(b"from C %d\n", n)
    os.system(f"echo from a shell {n}")
    return n


def tick(path: str) -> None:
    """A job that prints lines until a file exists."""
    count = 0
    while not Path(path).exists():
        print("tick", count)
        count += 1
        time.sleep(0.05)
    print("the last line", end="")


def listen(path: str) -> int:
    """A job that listens on a port until a file exists."""
    with socket.create_server(("", 0)) as server:
        while not Path(path).exists():
            time.sleep(0.01)
        return int(server.getsockname()[1])


def ended(client: Client, jids: Any) -> None:
    """Wait until jobs have ended, in whatever way."""
    with contextlib.suppress(CloudException):
        client.join(jids, WAIT_S)


def test_the_example_of_the_documentation(client: Client) -> None:
    r"""The promise: ">>> cloud.info(jid, ['stderr', 'stdout'])
    {jid: {'stderr': 'An Error\\n', 'stdout': 'Output\\n'}}".
    """

    def foo() -> None:
        print("Output")
        print("An Error", file=sys.stderr)

    jid = client.call(foo)
    client.join(jid, WAIT_S)

    expected = {jid: {"stderr": "An Error\n", "stdout": "Output\n"}}
    assert client.info(jid, ["stderr", "stdout"]) == expected


def test_every_job_has_its_own(client: Client) -> None:
    """The promise: "If a batch query is used, each jid is returned as a key in a dictionary." The
    output of jobs that ran one after the other in one process is kept apart.
    """
    jids = client.map(speak, range(50))
    client.join(jids, WAIT_S)

    info = client.info(jids, ["stdout", "stderr", "logging"])

    assert list(info) == list(jids)
    for n, jid in enumerate(jids):
        assert info[jid]["stdout"] == f"Output {n}\nfrom a shell {n}\nfrom C {n}\n"
        assert info[jid]["stderr"] == f"An Error {n}\n"
        assert info[jid]["logging"].endswith(f" INFO mine: a message {n}\n")


def test_the_default(client: Client) -> None:
    """The promise: "If the information requested isn't specified, info automatically returns
    stdout, stderr, runtime, and status."
    """
    jid = client.call(time.sleep, 0.2)
    client.join(jid, WAIT_S)

    (info,) = client.info(jid).values()

    assert info | {"runtime": 0} == {"status": "done", "stdout": "", "stderr": "", "runtime": 0}
    assert 0.2 <= info["runtime"] < WAIT_S


def test_the_last_64k_characters(client: Client) -> None:
    """The promise: "Standard output of a job (last 64k chars)", also where they take more bytes."""

    def much() -> None:
        sys.stdout.write("begin" + "ü" * 100_000 + "end")

    jid = client.call(much)
    client.join(jid, WAIT_S)

    assert client.info(jid, "stdout")[jid]["stdout"] == "ü" * (65536 - 3) + "end"


def test_everything(client: Client) -> None:
    """'all': "Obtain info about every possible item"."""

    def work(n: int, *, factor: int) -> int:
        return sum(range(n)) * factor

    before = datetime.now(UTC)
    jid = client.call(work, 2_000_000, factor=3, _label="first job", _profile=True, _priority=2)
    expected = client.result(jid, WAIT_S)

    info = client.info(jid, "all")[jid]

    assert set(info) == {key.value for key in InfoKey}
    assert info["label"] == "first job"
    assert info["function"].endswith("work")
    assert (info["args"], info["kwargs"]) == ((2_000_000,), {"factor": 3})
    assert info["func_body"](*info["args"], **info["kwargs"]) == expected
    assert info["attributes"]["priority"] == 2
    assert before.timestamp() - 5 < info["created"].timestamp() <= info["finished"].timestamp()
    assert info["cputime.user"] > 0
    assert info["memory.max_usage"] > 2**20
    assert "ncalls" in info["profile"]
    assert info["exception"] is None
    assert [line.split(" ")[2] for line in info["pilog"].splitlines()] == [
        "created:",
        "begun:",
        "done",
    ]


def test_groups_of_keys(client: Client) -> None:
    """`cputime` and `memory` stand for all names that begin so; a single key may be passed without
    a list.
    """
    jid = client.call(speak, 1)
    client.join(jid, WAIT_S)

    info = client.info(jid, ["cputime", "memory.max_usage"])[jid]

    assert set(info) == {"cputime", "memory.max_usage"}
    assert set(info["cputime"]) == {"user", "system"}


@pytest.mark.parametrize("key", ["stdoutt", "", "cputime.", 7, None])
def test_a_wrong_key_names_the_right_ones(client: Client, key: Any) -> None:
    """The error is one sentence with the closed list, and no request is sent."""
    with pytest.raises(CloudException, match=r"There is no info key|must be names of infos"):
        client.info(client.call(abs, 1), [key])


def test_a_failed_job_tells_what_it_raised(client: Client) -> None:
    """`exception` is the remote traceback; earlier output is kept."""

    def fail() -> None:
        print("just before")
        raise KeyError("missing")

    jid = client.call(fail)
    ended(client, jid)

    info = client.info(jid, ["status", "exception", "stdout"])[jid]

    assert (info["status"], info["stdout"]) == ("error", "just before\n")
    assert "in fail" in info["exception"]
    assert info["exception"].endswith("KeyError: 'missing'\n")


@pytest.mark.parametrize("end", [lambda: os._exit(3), os.abort], ids=["exit", "signal"])
def test_a_crashed_job_leaves_its_output(client: Client, end: Callable[[], None]) -> None:
    """Output from before a crash is kept, and the error ends with the last lines of stderr."""

    def crash() -> None:
        print("printed before")
        sys.stderr.write("last words\n")
        end()

    jid = client.call(crash)
    with pytest.raises(CloudException, match="last words"):
        client.join(jid, WAIT_S)

    info = client.info(jid)[jid]
    assert info["stdout"] == "printed before\n"
    assert info["stderr"].startswith("last words\n")


def test_a_killed_job_leaves_its_output(client: Client, stack: Stack) -> None:
    """The promise: "If you are inspecting a killed job, note that only information flushed to
    stdout or stderr will show."
    """
    jid = client.call(tick, str(stack.shared / "never"))
    until(lambda: "tick 3" in client.info(jid)[jid]["stdout"], "it prints")

    client.kill(jid)
    ended(client, jid)

    info = client.info(jid, ["status", "stdout", "pilog"])[jid]
    assert info["status"] == "killed"
    assert "tick 3\n" in info["stdout"]
    assert "killed" in info["pilog"].splitlines()[-1]


def test_a_running_job_is_seen_live(client: Client, stack: Stack) -> None:
    """The promise: "info can be queried while a job is running for realtime data": output no older
    than 3 s, and what it uses now.
    """
    flag = stack.shared / "live"
    jid = client.call(tick, str(flag))
    until(lambda: client.status(jid) == "processing", "it runs")
    keys = ["stdout", "memory", "cpu_percentage", "runtime", "status", "ports"]
    first = until(lambda: _seen(client, jid, keys), "it is seen")

    second = until(lambda: _grown(client, jid, keys, first["stdout"]), "it has printed more")
    flag.touch()
    client.join(jid, WAIT_S)

    assert second["status"] == "processing"
    assert second["memory"]["usage"] > 2**20
    assert second["cpu_percentage"] >= 0
    assert second["runtime"] > first["runtime"] > 0
    last = client.info(jid, keys)[jid]
    assert last["stdout"].startswith(second["stdout"])
    assert last["stdout"].endswith("the last line")
    assert last["memory"]["usage"] is None


def _seen(client: Client, jid: int, keys: list[str]) -> dict[str, Any] | None:
    info = client.info(jid, keys)[jid]
    return info if info["stdout"] else None


def _grown(client: Client, jid: int, keys: list[str], before: str) -> dict[str, Any] | None:
    info = client.info(jid, keys)[jid]
    return info if len(info["stdout"]) > len(before) else None


def test_following_loses_nothing(client: Client, stack: Stack) -> None:
    """A reader that follows a stream by offsets gets every byte of it once, including the last
    line.
    """
    flag = stack.shared / "followed"
    jid = client.call(tick, str(flag))
    until(lambda: client.status(jid) == "processing", "it runs")
    text, offset = "", 0
    while True:
        update = client.follow(jid, {"stdout": offset})
        text += update.values["stdout"]
        offset = update.ends["stdout"]
        if len(text) > 100:
            flag.touch()
        if update.values["status"] == "done":
            break
        time.sleep(0.01)

    assert text == client.info(jid, "stdout")[jid]["stdout"]
    assert text.endswith("the last line")


def test_logs_can_be_followed_from_the_shell(stack: Stack, client: Client) -> None:
    """`picloud logs -f` shows what a job prints until it ends, including the last line."""
    flag = stack.shared / "shell"
    jid = client.call(tick, str(flag))
    picloud = Path(sys.executable).with_name("picloud")
    with subprocess.Popen(
        [str(picloud), "logs", str(jid), "--follow"],
        env=stack.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        first = following.stdout.readline()
        flag.touch()
        rest = following.stdout.read()

    assert following.returncode == 0
    assert first == "tick 0\n"
    assert first + rest == client.info(jid, "stdout")[jid]["stdout"]
    assert rest.endswith("the last line")


def test_ports_of_a_running_job(client: Client, stack: Stack) -> None:
    """The promise: "Returns a dictionary of ports job is listening on (only valid when
    processing)", with the address to reach each.
    """
    flag = stack.shared / "listened"
    jid = client.call(listen, str(flag))
    until(lambda: (client.info(jid, "ports")[jid]["ports"] or {}).get("tcp"), "it listens")
    ports = client.info(jid, "ports")[jid]["ports"]

    ((port, place),) = ports["tcp"].items()
    with socket.create_connection((place["address"], place["port"]), 5):
        flag.touch()

    assert client.result(jid, WAIT_S) == port
    assert ports["udp"] == {}
    assert client.info(jid, "ports")[jid]["ports"] is None


def test_waiting_for_a_port(client: Client, stack: Stack, script: Callable[..., str]) -> None:
    """The promise: "A shortcut function exists to block until a job has opened the desired port":
    it returns the port's address, and fails if the job ends without opening it.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source = (
        "import sys, socket, cloud\n"
        "port = int(sys.argv[1])\n"
        "def serve(port):\n"
        "    with socket.create_server(('0.0.0.0', port)) as server:\n"
        "        return server.accept()[0].recv(9)\n"
        "jid = cloud.call(serve, port)\n"
        "place = cloud.shortcuts.get_connection_info(jid, port, timeout=60)\n"
        "with socket.create_connection((place['address'], place['port'])) as connection:\n"
        "    connection.send(b'knock')\n"
        "print(cloud.result(jid))\n"
        "for wrong in ((jid, port), (jid, 0), (jid, port, 'sctp')):\n"
        "    try:\n"
        "        cloud.wait_for.port(*wrong)\n"
        "    except cloud.CloudException as error:\n"
        "        print(error)\n"
    )

    done, ended, number, protocol = script(source, str(port)).splitlines()

    assert done == "b'knock'"
    assert ended.endswith(f"ended without listening on tcp port {port}.")
    assert number == "port must be a whole number from 1 to 65535, not 0."
    assert protocol == "protocol must be tcp or udp, not 'sctp'."


def test_samples_of_a_long_job(client: Client) -> None:
    """`samples`: CPU and memory over time, (seconds since it began, percent, bytes)."""

    def spin() -> None:
        held = b"x" * 50 * 2**20
        until_ = time.monotonic() + 3
        while time.monotonic() < until_:
            pass
        del held

    jid = client.call(spin)
    client.join(jid, WAIT_S)

    samples = client.info(jid, "samples")[jid]["samples"]

    assert len(samples) >= 2
    # The first one may be taken before the job has its memory.
    assert samples[-1][2] > 50 * 2**20
    assert any(percentage > 5 for _, percentage, _ in samples)
    assert [at for at, _, _ in samples] == sorted(at for at, _, _ in samples)


def test_why_a_job_waits(begin: Callable[..., Stack]) -> None:
    """`why` is the job's place in the queue and the reason why no slots start: here all are taken,
    and on Nomad no machine is large enough. For a running job it is empty.
    """
    stack = begin()
    with contextlib.closing(stack.client()) as client:
        busy = client.map(time.sleep, [600] * 2)
        until(lambda: set(client.status(busy)) == {"processing"}, "all slots are taken")
        jids = client.map(abs, range(3))
        large = client.call(abs, 1, _type="f2", _cores=16)

        info = client.info([busy[0], *jids, large], "why")

        assert info[busy[0]]["why"] == ""
        assert info[jids[2]]["why"].startswith("2 jobs are ahead of it for 2 slots of 1 x c1")
        if stack.name == "embedded":
            assert "All 2 slots of this machine are taken." in info[large]["why"]
        else:
            assert "No machine that offers core type 'f2' has the" in info[large]["why"]
        client.kill()


def test_many_jobs_in_one_question(client: Client) -> None:
    """Info of a thousand jobs, in any order and repeated, is keyed by jid."""
    jids = client.map(abs, range(1000))
    client.join(jids, WAIT_S)

    info = client.info([jids[999], jids[0], jids[999]], "status")

    assert info == {jids[999]: {"status": "done"}, jids[0]: {"status": "done"}}
    assert len(client.info(jids)) == 1000


def test_jobs_of_others_are_not_there(client: Client, other: Client) -> None:
    """A job of another account and one that does not exist look the same."""
    jid = client.call(speak, 1)
    client.join(jid, WAIT_S)

    with pytest.raises(CloudException, match=r"There is no job \d+ in your account"):
        other.info(int(jid))


def test_infos_outlive_the_stack(begin: Callable[..., Stack]) -> None:
    """What a job printed is kept after every process of the stack was killed."""
    stack = begin()
    with contextlib.closing(stack.client(patient=True)) as client:
        jid = client.call(speak, 5)
        client.join(jid, WAIT_S)
        before = client.info(jid, ["stdout", "logging", "cputime"])
        stack.kill9()
        stack.start()

        assert client.info(jid, ["stdout", "logging", "cputime"]) == before


def test_the_usage_of_very_short_jobs_is_numbers(client: Client) -> None:
    """Of calls and of every job of a map, however quick and silent they are."""
    call, jids = client.call(abs, -1), client.map(abs, range(50))
    client.join([call, *jids], WAIT_S)

    for usage in client.info([call, *jids], ["cputime", "memory.max_usage"]).values():
        assert 0 <= usage["cputime"]["user"] < 10
        assert 0 <= usage["cputime"]["system"] < 10
        assert usage["memory.max_usage"] > 2**20
