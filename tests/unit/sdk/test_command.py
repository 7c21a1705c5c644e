"""What a job of `cloud.shell` does."""

from __future__ import annotations

import errno
import pickle
import socket
import threading
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from cloud.command import NEXT_SHELL_S, host_shells, run
from cloud.shell import Command, CommandFailed
from picloud_model.job_socket import address, shells_name

from tests.polling import until

if TYPE_CHECKING:
    from pathlib import Path


def test_the_result_is_what_was_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Stdout whole, as a string; both streams are the job's own output, too."""
    assert run(Command(command="echo hello, world; echo oops >&2")) == "hello, world\n"

    assert capfd.readouterr() == ("hello, world\n", "oops\n")


def test_bytes_that_are_no_text_are_kept() -> None:
    """As Python keeps them in file names."""
    assert run(Command(command="printf 'a\\377'")) == "a\udcff"


def test_values_of_the_job_join_those_of_all() -> None:
    """Common ones and mapped ones fill the same template."""
    command = Command(command="echo {w1}, {w2}", values={"w2": "world"}, names=("w1",))

    assert [run(command, word) for word in ("hello", "goodbye")] == [
        "hello, world\n",
        "goodbye, world\n",
    ]


def test_an_exit_code_other_than_zero_is_an_error() -> None:
    """With the code, and the last lines of stderr in its traceback."""
    with pytest.raises(CommandFailed, match="nonzero return code 3") as failed:
        run(Command(command="seq 100 >&2; exit 3"))

    assert failed.value.exit_code == 3
    assert failed.value.stderr.splitlines() == [str(number) for number in range(81, 101)]
    assert failed.value.__notes__ == [failed.value.stderr]


def test_a_signal_is_named() -> None:
    """A program that crashes has no exit code."""
    with pytest.raises(CommandFailed, match=r"signal 11 \(SIGSEGV\)") as failed:
        run(Command(command="kill -SEGV $$"))

    assert failed.value.exit_code == -11


def test_an_exit_code_can_be_ignored() -> None:
    """What was printed is the result then."""
    assert run(Command(command="echo some; exit 3", ignore_exit_status=True)) == "some\n"


def test_a_file_can_be_returned(tmp_path: Path) -> None:
    """In place of stdout, from where the command ran."""
    command = Command(command="echo no; echo yes > out", return_file="out", cwd=str(tmp_path))

    assert run(command) == "yes\n"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The command ended well, but did not do what it should have."""
    with pytest.raises(CommandFailed, match="its file out cannot be read: No such file"):
        run(Command(command="true", return_file="out", cwd=str(tmp_path)))


def test_a_directory_that_is_not_there_is_named() -> None:
    """No command ran."""
    with pytest.raises(CommandFailed, match="cannot run in /not/there: No such file") as failed:
        run(Command(command="true", cwd="/not/there"))

    assert failed.value.exit_code is None


def test_what_runs_on_in_the_background_is_not_waited_for() -> None:
    """A command has ended when its shell has; its output until then is kept."""
    assert run(Command(command="sleep 1000 & echo $!")).strip().isdigit()


def test_the_failure_can_travel() -> None:
    """It is the cause of the error that the job's owner gets."""
    failed = CommandFailed("command terminated with nonzero return code 2", 2, "why")

    again = pickle.loads(pickle.dumps(failed))

    assert (str(again), again.exit_code, again.stderr) == (str(failed), 2, "why")
    assert again.__notes__ == ["why"]
    assert type(again).__module__ == "cloud.shell"


@pytest.mark.parametrize("data", [b"", b"b\na\n", bytes(range(256)) * 10_000])
def test_a_command_reads_what_was_sent(data: bytes) -> None:
    """Also more than a pipe holds, and also if it does not read it to the end."""
    assert run(Command(command="cat", stdin=data)).encode("utf-8", "surrogateescape") == data
    assert run(Command(command="echo done", stdin=data)) == "done\n"


def test_a_job_for_shells_ends_after_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shell keeps a connection to it; another one may follow within a moment."""
    name = uuid4().hex
    monkeypatch.setenv("PICLOUD_LINE", name)
    hosting = threading.Thread(target=host_shells, daemon=True)
    hosting.start()
    where = address(shells_name(name))
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        until(lambda: one.connect_ex(where) in (0, errno.EISCONN), "the job listens")
        two.connect(where)
        one.close()
        hosting.join(NEXT_SHELL_S + 0.3)
        assert hosting.is_alive()
        two.close()
    hosting.join(30)
    assert not hosting.is_alive()
