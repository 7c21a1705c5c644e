"""The persistent interpreter, and what is sent to it: the page on pitfalls, promise by promise."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException
from picloud_worker.restore.check_schedule import CLEAN_CHECKS

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


@pytest.fixture
def single(begin: Callable[..., Stack]) -> Iterator[Client]:
    """A client of a stack with one slot, so that jobs follow each other in it."""
    opened = begin(slots=1).client()
    yield opened
    opened.close()


def ran(client: Client, function: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a function that runs as a job."""
    return client.result(client.call(function, *args), WAIT_S)


def pid() -> int:
    """Return the pid of this interpreter."""
    return os.getpid()


def count() -> tuple[int, int]:
    """Count the jobs of this interpreter; return its pid and the count."""
    marks = sys.__dict__.setdefault("_marks", [])
    marks.append(1)
    return os.getpid(), len(marks)


def test_jobs_may_run_in_the_same_interpreter(single: Client) -> None:
    """The promise: "jobs may be run in the same interpreter as previous jobs [...] Writing to
    globals should be avoided."
    """
    counts = [ran(single, count) for _ in range(3)]

    assert counts == [(counts[0][0], 1), (counts[0][0], 2), (counts[0][0], 3)]


def test_left_over_threads_end_the_interpreter(single: Client) -> None:
    """The promise: "If threads are not terminated, PiCloud will list them in your standard error -
    and the interpreter will be killed."
    """

    def leave() -> int:
        thread = threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True)
        thread.start()
        return os.getpid()

    before = ran(single, leave)

    assert ran(single, pid) != before


def test_what_a_job_leaves_set_is_restored(single: Client) -> None:
    """The next job finds its process as it was, and `pilog` says what was restored."""

    def spoil() -> None:
        os.chdir("/")
        os.umask(0)
        os.environ["GREETING"] = "hello"
        sys.stdout = None  # type: ignore[assignment]
        signal.alarm(3600)

    def found() -> tuple[Any, ...]:
        os.umask(mask := os.umask(0))
        print("printed")
        return os.getpid(), Path.cwd(), mask, os.environ.get("GREETING"), signal.getitimer(0)

    before = ran(single, found)
    spoiled = single.call(spoil)
    single.join(spoiled, WAIT_S)
    after = single.call(found)

    assert single.result(after, WAIT_S) == before
    assert single.info(after, "stdout")[after]["stdout"] == "printed\n"
    assert single.info(spoiled, "pilog")[spoiled]["pilog"].splitlines()[-1] == (
        "restored after the job: working directory, umask, alarm, standard streams, os.environ"
    )


SPOILS = """\
import os, resource, signal, sys, cloud
def spoil():
    os.chdir("/")
    os.umask(0)
    os.environ["GREETING"] = "hello"
    sys.stdin = sys.stdout = None
    signal.alarm(3600)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
def found():
    os.umask(mask := os.umask(0))
    kept = signal.getsignal(2), signal.pthread_sigmask(0, ()), resource.getrlimit(7)
    return os.getpid(), os.getcwd(), mask, os.environ.get("GREETING"), signal.getitimer(0), kept
before, _, after = [cloud.result(cloud.call(job), 60) for job in (found, spoil, found)]
print("found as it was" if before == after else f"{before} became {after}")
"""
SEEN_BY_COMMANDS = "pwd; umask; ulimit -n; echo $GREETING; grep Sig[BIC] /proc/self/status; cat"


def test_programs_of_all_kinds_find_the_process_as_it_was(
    begin: Callable[..., Stack], tmp_path: Path
) -> None:
    """Modules run by `-m`, `-c` and notebooks, and commands in a slot that ran Python before."""
    (tmp_path / "spoils.py").write_text(SPOILS)
    (tmp_path / "cells.py").write_text(
        SPOILS.replace("\ndef", "\n\ndef").replace("\nbef", "\n\nbef")
    )
    ipython = ["-m", "IPython", "--no-banner", "--simple-prompt"]
    ways = [["-m", "spoils"], ["-c", SPOILS], ipython]
    stack = begin(slots=1)
    with contextlib.closing(stack.client()) as opened, current_client(opened):
        read = [cloud.result(cloud.shell.execute(SEEN_BY_COMMANDS, {}), WAIT_S)]

        for way in ways:
            done = subprocess.run(
                [sys.executable, *way],
                cwd=tmp_path,
                env=stack.environment() | {"IPYTHONDIR": str(tmp_path / "ipython")},
                input=(tmp_path / "cells.py").read_text() if way is ipython else "",
                capture_output=True,
                text=True,
                timeout=WAIT_S,
                check=False,
            )
            assert "found as it was" in done.stdout, (way, done.stdout, done.stderr)
            read.append(cloud.result(cloud.shell.execute(SEEN_BY_COMMANDS, {}), WAIT_S))

    assert len({*read}) == 1, read


def test_what_a_trusted_function_leaves_set_is_restored_before_the_next_job(single: Client) -> None:
    """Its jobs left nothing for a while, so they are reported first; the next one's log says so."""

    def spoils(mask: int | None) -> int:
        if mask is not None:
            os.umask(mask)
        return os.getpid()

    def found() -> tuple[int, int]:
        os.umask(mask := os.umask(0))
        return os.getpid(), mask

    before = ran(single, found)
    for _ in range(2 * CLEAN_CHECKS):
        ran(single, spoils, None)
    spoiled = single.call(spoils, 0o1)
    single.join(spoiled, WAIT_S)
    after = single.call(found)

    assert single.result(after, WAIT_S) == before
    assert single.info(after, "pilog")[after]["pilog"].splitlines()[-1] == (
        "restored before the job: umask"
    )


def test_what_cannot_be_restored_ends_the_interpreter(single: Client) -> None:
    """The next job runs in another one, and `pilog` says why."""

    def import_from_elsewhere() -> int:
        folder = tempfile.mkdtemp()
        Path(folder, "module_of_mine.py").touch()
        sys.path.insert(0, folder)
        __import__("module_of_mine")
        return os.getpid()

    jid = single.call(import_from_elsewhere)

    assert single.result(jid, WAIT_S) != ran(single, pid)
    assert single.info(jid, "pilog")[jid]["pilog"].splitlines()[-1] == (
        "interpreter replaced after the job: it changed for good sys.path"
    )


def test_left_over_subprocesses_end_the_interpreter(single: Client) -> None:
    """The promise: "Any subprocesses spawned must be terminated": they end with it."""

    def leave() -> tuple[int, int]:
        return os.getpid(), subprocess.Popen(["sleep", "600"]).pid

    before, leftover = ran(single, leave)

    def lives(number: int) -> bool:
        return Path(f"/proc/{number}/cmdline").exists()

    assert ran(single, pid) != before
    assert not ran(single, lives, leftover)


def test_arguments_are_passed_by_value(client: Client) -> None:
    """The promise: "arguments, globals, etc., will be copied to the PiCloud server. If such objects
    are modified on the server, the changes will not be reflected on the client."
    """

    def foo(list_param: list[int]) -> list[int]:
        list_param[0] += 1
        return list_param

    a_list = [1, 2]
    jid = client.call(foo, a_list)
    a_list[1] = 7

    assert client.result(jid, WAIT_S) == [2, 2]
    assert a_list == [1, 7]


def test_modules_are_a_snapshot(script: Callable[..., str], tmp_path: Path) -> None:
    """The promise: "cloud will snapshot imported modules and send changed ones to PiCloud": a job
    runs the code as it was when it was called. Here code that is changed later is sent again, which
    the original could not: "If you change your code, you will need to open a new interpreter."
    """
    (tmp_path / "mymodule.py").write_text("def myfunc():\n    return 'old'\n")
    printed = script(
        """
import importlib, pathlib, cloud, mymodule

jid = cloud.call(mymodule.myfunc)
pathlib.Path(mymodule.__file__).write_text("def myfunc():\\n    return 'new version'\\n")
importlib.reload(mymodule)
jid2 = cloud.call(mymodule.myfunc)
print(cloud.result(jid), cloud.result(jid2))
"""
    )

    assert printed.strip() == "old new version"


def test_changes_to_modules_and_classes_do_not_travel(
    script: Callable[..., str], tmp_path: Path
) -> None:
    """The promise: "Any changes made to a module or class object at runtime will not be
    transmitted."
    """
    (tmp_path / "mine.py").write_text("class A:\n    attribute = 1\n\nB = 2\n")
    printed = script(
        """
import cloud, mine

mine.A.attribute = 5
mine.B = 6
print(cloud.result(cloud.call(lambda: (mine.A.attribute, mine.B))))
"""
    )

    assert printed.strip() == "(1, 2)"


def test_read_only_files_travel(client: Client, tmp_path: Path) -> None:
    """The promise: "Can only pass read-only 'physical' file objects": a job reads them from
    beginning to end, as text and as bytes, from their current position.
    """
    path = tmp_path / "data.txt"
    path.write_text("first\nsecond\n")

    def lines(af: Any) -> list[Any]:
        return list(af)

    with path.open() as text, path.open("rb") as data:
        text.readline()

        assert ran(client, lines, text) == ["second\n"]
        assert ran(client, lines, data) == [b"first\n", b"second\n"]


def test_files_that_are_not_read_only_are_refused(client: Client, tmp_path: Path) -> None:
    """The promise: "Files cannot be open for writing [...] Standard input [...] Virtual files, such
    as those in /proc on Linux, cannot be passed". Methods of a file that can be passed can be
    passed, too.
    """
    path = tmp_path / "data.txt"
    path.write_text("text")
    with path.open("a") as writing, Path("/proc/self/status").open() as virtual, path.open() as af:
        for function, args in ((len, [writing]), (len, [virtual]), (len, [sys.__stdin__])):
            with pytest.raises(CloudException):
                client.call(function, *args)
        assert ran(client, af.read) == "text"


class Counter:
    """An object with methods."""

    def __init__(self, start: int) -> None:
        self.start = start

    def plus(self, number: int) -> int:
        """Add."""
        return self.start + number


def test_specially_supported_objects_travel(client: Client) -> None:
    """The promise: "Such specially supported objects include functions, methods, partials
    (functools), xrange (range in Python3), read-only files, and PIL Images."
    """
    from PIL import Image

    image = Image.new("RGB", (3, 2), (10, 20, 30))

    def flipped(picture: Any) -> Any:
        return picture.rotate(90, expand=True)

    assert ran(client, Counter(5).plus, 2) == 7
    assert ran(client, functools.partial(divmod, 17), 5) == (3, 2)
    assert ran(client, functools.partial(Counter(5).plus, 1)) == 6
    assert ran(client, list, range(2, 20, 7)) == [2, 9, 16]
    assert ran(client, lambda numbers: numbers[1:], range(5)) == range(1, 5)
    turned = ran(client, flipped, image)
    assert (turned.size, turned.getpixel((0, 0))) == ((2, 3), (10, 20, 30))


def slow_to_end() -> int:
    """Leave a thread that ends by itself a moment later."""
    threading.Thread(target=threading.Event().wait, args=(0.005,)).start()
    return os.getpid()


def test_what_is_just_ending_is_no_leftover(single: Client) -> None:
    """A thread that is about to end does not cost the interpreter."""
    assert ran(single, slow_to_end) == ran(single, pid)


def test_main_is_another_there(client: Client) -> None:
    """The promise: "__main__ on PiCloud differs from __main__ locally." """

    def look() -> tuple[str, bool]:
        main = sys.modules["__main__"]
        return main.__name__, hasattr(main, "__file__")

    assert ran(client, look) == ("__main__", False)
