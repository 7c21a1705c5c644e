"""The installed command as a process, on every stack: shell jobs, scripts, and what goes wrong."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.command_line import PICLOUD, run
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

pytestmark = pytest.mark.containers

WAIT_S = 60.0


def test_the_primer_in_a_shell(stack: Stack) -> None:
    """The promises of "Creating a Job from the Shell", typed as they stand there."""
    script = """
    JID=`picloud exec -d w1='hello' -d w2='world' echo {w1}, {w2}`
    picloud join $JID && picloud status $JID && picloud result $JID
    JIDS=`picloud mapexec -n w1='hello','goodbye' -d w2='world' echo {w1}, {w2}`
    picloud result $JIDS | grep -v jid
    JID=`picloud exec ls /dir-that-does-not-exist`
    picloud result $JID; echo $?
    """
    path = f"{Path(PICLOUD).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-c", script],
        env=stack.environment() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    header, row, *rest = done.stdout.splitlines()
    assert (header, row.split()[1]) == ("jid\tstatus", "done")
    assert rest == ["hello, world", "hello, world", "goodbye, world", "3"]
    assert "command terminated with nonzero return code 2" in done.stderr
    assert "No such file or directory" in done.stderr


def test_a_value_cannot_become_a_command(picloud: Callable[..., Exited], stack: Stack) -> None:
    """A value stays a value from the command line to the job's shell, whatever quotes
    surround it.
    """
    proof = stack.shared / "owned"
    evil = f"'; touch {proof}; \" ; touch {proof} `touch {proof}` $(touch {proof}) & touch {proof}"
    command = "printf %s {w} \"{w}\" '{w}'"

    one = picloud("exec", "-d", f"w={evil}", command).out.strip()
    many = picloud(
        "mapexec", "-N", "-", command, given=f'w\n"{evil.replace(chr(34), chr(34) * 2)}"\n'.encode()
    )

    assert picloud("result", one).out == evil * 3
    assert picloud("result", many.out.strip()).out == evil * 3
    assert not proof.exists()


def test_jobs_make_jobs(picloud: Callable[..., Exited]) -> None:
    """The promise: "$ JID1=`picloud exec 'picloud exec echo hello world'`" makes a job that makes a
    job: it may, without a profile of its own.
    """
    jid1 = picloud("exec", "picloud exec echo hello world").out.strip()
    jid2 = picloud("result", jid1, "-t", "60").out.strip()

    assert picloud("result", jid2).out == "hello world\n"


def test_a_job_waits_for_its_jobs(picloud: Callable[..., Exited]) -> None:
    """Results, failures and their exit codes reach the shell in the job as they reach a user's
    shell.
    """
    line = "picloud result $(picloud exec echo {w}); picloud join $(picloud exec false); echo $?"

    jid = picloud("exec", "-d", "w=a b", line).out.strip()

    assert picloud("result", jid, "-t", "60").out == "a b\n3\n"


def test_wait_for_a_status(picloud: Callable[..., Exited]) -> None:
    """Waiting prints nothing; it fails if the status can no longer come, and exits with 4 when it
    takes too long.
    """
    jid = picloud("exec", "sleep", "600").out.strip()

    there = picloud("wait-for", "status", jid, "processing", "-t", "60")
    late = picloud("wait-for", "status", jid, "done,error", "-t", "0.2")
    picloud("kill", jid)
    never = picloud("wait-for", "status", jid, "done", "-t", "60")
    ended = picloud("wait-for", "status", jid, "done,killed", "--json")

    assert (there.code, there.out, there.err) == (0, "", "")
    assert (late.code, never.code) == (4, 3)
    assert len(late.err.splitlines()) == len(never.err.splitlines()) == 1
    assert json.loads(ended.out) == [{"jid": int(jid), "status": "killed"}]


@pytest.mark.parametrize("wrong", ["gone", "", "done,,error"])
def test_a_status_that_does_not_exist_is_named(picloud: Callable[..., Exited], wrong: str) -> None:
    """The error names the unknown status and lists all there are."""
    done = picloud("wait-for", "status", "1", wrong)

    assert (done.code, done.out) == (2, "")
    assert "write waiting, queued, processing, done" in done.err
    assert len(done.err.splitlines()) == 1


def test_options_reach_the_job(picloud: Callable[..., Exited], stack: Stack) -> None:
    """The result can be a file, the directory can be chosen, and the exit code can be ignored."""
    command = "pwd > where; false"
    options = ("--return-file", "where", "--cwd", str(stack.shared), "--ignore-exit-status")

    jid = picloud("exec", *options, "--label", "x", "-p", "1", command).out.strip()

    assert picloud("result", jid).out == f"{stack.shared}\n"


def test_options_of_later_jobs(picloud: Callable[..., Exited]) -> None:
    """Variables, dependencies and their failures, and a time limit reach the job."""
    bad = picloud("exec", "--os-env", "CODE=3", "exit $CODE").out.strip()
    never = picloud("exec", "--depends-on", bad, "true").out.strip()
    ever = ("exec", "--depends-on", bad, "--depends-on-errors", "ignore", "echo", "ever")
    late = picloud("exec", "-m", "0.01", "sleep", "600").out.strip()

    assert picloud("result", picloud(*ever).out.strip(), "-t", "60").out == "ever\n"
    assert "nonzero return code 3" in picloud("join", bad).err
    assert (picloud("join", never).code, picloud("join", late, "-t", "60").code) == (3, 3)
    assert picloud("status", f"{never},{late}").out.split()[3::2] == ["stalled", "killed"]


def test_bytes_come_back_as_they_were(picloud: Callable[..., Exited]) -> None:
    """A pipe gets the job's bytes, even if they are not text, and no newline after them."""
    jid = picloud("exec", "printf '\\377\\000\\033[31m'").out.strip()

    assert picloud("result", jid).data == b"\xff\x00\x1b[31m"
    assert picloud("result", "--raw", jid).data == b"\xff\x00\x1b[31m"


def test_files_of_a_map_come_back_as_they_were(picloud: Callable[..., Exited]) -> None:
    """Empty, without a newline at the end, and of any bytes: a pipe gets what each job wrote."""
    contents = ["", "a", r"a\n\n", r"\377\000\r\n"]

    made = picloud(
        *("mapexec", "--json", "--return-file", "out"),
        *("-n", f"content={','.join(contents)}", "printf {content} > out"),
    )

    jids = json.loads(made.out)["jids"]
    assert [picloud("result", str(jid)).data for jid in jids] == [
        *(b"", b"a", b"a\n\n", b"\xff\x00\r\n")
    ]


def test_jids_of_all_kinds_in_one_go(picloud: Callable[..., Exited]) -> None:
    """The promise: "you can use a combination of ranges and single jids"."""
    jids = json.loads(picloud("mapexec", "--json", "-n", "a=1,2,3,4", "echo {a}").out)["jids"]
    named = f"{jids[3]},{jids[0]}-{jids[1]}"

    listed = json.loads(picloud("result", named, "--json").out)

    assert listed == [
        {"jid": jids[at], "result": f"{value}\n"} for at, value in ((3, 4), (0, 1), (1, 2))
    ]
    assert picloud("join", named, "--timeout", "60").code == 0


def test_a_failed_job_tells_its_traceback(picloud: Callable[..., Exited], client: Client) -> None:
    """Message and traceback go to standard error, the exit code is 3, and no other job's result is
    printed.
    """
    good, bad = client.map(lambda x: 1 // x, [1, 0])

    done = picloud("result", f"{good},{bad}")

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"error: 1 of 2 jobs failed, item 1: Job {bad}: ZeroDiv")
    assert "Traceback (most recent call last):" in done.err
    shown = picloud("result", "-i", f"{good},{bad}").out
    assert shown.endswith("error: ZeroDivisionError: integer division or modulo by zero\n")


def test_a_result_without_json_is_shown_as_python_shows_it(
    picloud: Callable[..., Exited], client: Client
) -> None:
    """With --json only that result is missing, and the exit code says so."""
    jids = client.map(lambda x: {x} if x else x, [0, 1, 0])
    named = f"{jids[0]}-{jids[-1]}"

    shown, strict = picloud("result", named), picloud("result", named, "--json")

    assert (shown.code, shown.out.splitlines()[1::2]) == (0, ["0", "{1}", "0"])
    assert [row["result"] for row in json.loads(strict.out)] == [0, None, 0]
    assert strict.code == 1
    assert strict.err.startswith(f"error: Job {jids[1]}: the result has no JSON representation;")


def test_a_kill_names_how_many(picloud: Callable[..., Exited]) -> None:
    """Standard output has data for scripts only; the number of killed jobs goes to
    standard error.
    """
    jid = picloud("exec", "sleep", "600").out.strip()

    done = picloud("kill", jid, "--json")

    assert (done.code, json.loads(done.out)) == (0, {"killed": 1})
    assert picloud("join", jid, "-t", "60").code == 3


def test_a_timeout_exits_with_4(picloud: Callable[..., Exited]) -> None:
    """The command exits with 4, and the job goes on."""
    jid = picloud("exec", "sleep", "600").out.strip()

    done = picloud("result", jid, "--timeout", "0.2")

    assert (done.code, done.out) == (4, "")
    assert len(done.err.splitlines()) == 1
    picloud("kill", jid)


def test_setup_then_nothing_else_is_needed(stack: Stack, tmp_path: Path) -> None:
    """Setup writes a profile that only its owner can read, and every command finds it."""
    bare = {name: value for name, value in os.environ.items() if "PICLOUD" not in name}
    bare["PICLOUD_CONFIG_DIR"] = str(tmp_path)

    kept = run(
        bare, "setup", "--url", stack.url, "-a", "-", "--profile", "here", given=stack.key.encode()
    )
    jid = run(bare, "exec", "echo", "hi").out.strip()

    assert (kept.code, kept.out) == (0, "")
    assert stack.key not in kept.err
    assert stat.S_IMODE((tmp_path / "profiles.toml").stat().st_mode) == 0o600
    assert run(bare, "--profile", "here", "result", jid).out == "hi\n"


def test_an_unknown_key_is_one_line(stack: Stack, tmp_path: Path) -> None:
    """The line says what to do, and `picloud setup` stores no such key."""
    wrong = "pk_0123456789ab_" + "s" * 43
    environment = stack.environment() | {"PICLOUD_CONFIG_DIR": str(tmp_path)}

    advice = {("status", "1"): "set one with `picloud setup`", ("setup", "--profile", "x"): "check"}
    for arguments, what_to_do in advice.items():
        done = run(environment | {"PICLOUD_API_KEY": wrong}, *arguments)

        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"error: The server does not know this API key; {what_to_do}")
        assert len(done.err.splitlines()) == 1
        assert "s" * 43 not in done.err
    assert not (tmp_path / "profiles.toml").exists()


def test_no_server_is_one_line(tmp_path: Path) -> None:
    """The line says what to do; --debug shows the rest."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but it does not listen
        environment = {
            "PATH": os.environ["PATH"],
            "PICLOUD_CONFIG_DIR": str(tmp_path),
            "PICLOUD_URL": f"http://127.0.0.1:{taken.getsockname()[1]}",
            "PICLOUD_API_KEY": "pk_a_b",
        }
        done = run(environment, "status", "1")
        debugged = run(environment, "--debug", "status", "1")

    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert "No PiCloud server answers" in done.err
    assert "picloud up" in done.err
    assert "Traceback" in debugged.err


def test_no_profile_is_one_line(tmp_path: Path) -> None:
    """The error tells a new user how to begin."""
    done = run({"PATH": os.environ["PATH"], "PICLOUD_CONFIG_DIR": str(tmp_path)}, "exec", "date")

    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert "picloud up" in done.err
    assert "picloud setup" in done.err


def test_a_reader_that_leaves_is_no_error(picloud: Callable[..., Exited], stack: Stack) -> None:
    """`picloud result 1 | head -1` ends quietly."""
    jid = picloud("exec", "seq 100000").out.strip()
    line = f"{PICLOUD} result {jid} | head -1"

    done = subprocess.run(
        ["bash", "-c", line], env=stack.environment(), capture_output=True, timeout=60, check=True
    )

    assert (done.stdout, done.stderr) == (b"1\n", b"")


def test_the_simulator_prints_results(tmp_path: Path) -> None:
    """`picloud --simulate exec` needs no server; it ends with the command, so the result is
    printed in place of a jid.
    """
    bare = {name: value for name, value in os.environ.items() if "PICLOUD" not in name}
    bare |= {"PICLOUD_CONFIG_DIR": str(tmp_path), "TMPDIR": str(tmp_path)}

    one = run(bare, "--simulate", "exec", "-d", "w=hello", "echo", "{w}")
    bad = run(bare, "-s", "mapexec", "-n", "code=0,3", "exit {code}")

    assert (one.code, one.out, one.err) == (0, "hello\n", "")
    assert (bad.code, bad.out) == (3, "")
    assert "nonzero return code 3" in bad.err
    until(lambda: not list(tmp_path.glob("picloud-simulator-*")), "the simulator is gone")


def test_help_needs_no_server_and_no_home() -> None:
    """In the barest of environments."""
    done = run({"PATH": os.environ["PATH"]}, "exec", "--help")

    assert done.code == 0
    assert "$ picloud exec echo hello, world" in done.out


def test_standard_input_is_sent_when_asked(picloud: Callable[..., Exited]) -> None:
    """`--stdin` gives it to the command; without it, what a pipe holds is not dropped silently."""
    data = b"b\xff\na\n"

    sent = picloud("exec", "--stdin", "sort", given=data)
    kept = picloud("exec", "cat", given=data)
    nothing = picloud("exec", "cat")
    mapped = picloud("mapexec", "--stdin", "-n", "n=1,2", "head -n {n}", given=data)

    assert picloud("result", sent.out.strip(), "-t", "60").data == b"a\nb\xff\n"
    assert picloud("result", kept.out.strip(), "-t", "60").data == b""
    assert picloud("result", mapped.out.strip(), "-t", "60", "--json").code == 0
    assert "--stdin" in kept.err
    assert (sent.err, nothing.err) == ("", "")
    assert picloud("mapexec", "--stdin", "-N", "-", "echo {n}", given=b"n\n1\n").code == 2
    large = picloud("exec", "--stdin", "wc", given=b"x" * 1_000_000)
    assert (large.code, large.out) == (2, "")
    assert "standard input has more than 990,000 bytes" in large.err
