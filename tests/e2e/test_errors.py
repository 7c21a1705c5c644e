"""Jobs that fail, each with a cause that its user can act on."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

WAIT_S = 60.0


class OddError(Exception):
    """An exception that cannot be rebuilt from its text alone."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"{code} because {why}")
        self.code = code
        self.why = why


def deeper(number: int) -> float:
    """Divide by a number."""
    return 1 / number


def failing(number: int) -> float:
    """Fail below a frame of its own."""
    return deeper(number)


def crash(how: str) -> Any:
    """End this process in the middle of a job, in one of several ways."""
    endings: dict[str, Callable[[], Any]] = {
        "segfault": lambda: ctypes.string_at(0),
        "abort": os.abort,
        "os._exit(0)": lambda: os._exit(0),
        "os._exit(7)": lambda: os._exit(7),
        "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "sys.exit(3)": lambda: sys.exit(3),
        "sys.exit()": sys.exit,
    }
    return endings[how]()


CRASHES = {
    "segfault": "signal 11",
    "abort": "signal 6",
    "os._exit(0)": "ended without a result .exit status 0",
    "os._exit(7)": "ended without a result .exit status 7",
    "SIGKILL": "signal 9",
    "sys.exit(3)": "sys.exit.3.",
    "sys.exit()": "sys.exit",
}


def test_the_remote_traceback_is_shown(client: Client) -> None:
    """The promise: "a cloud.CloudException will be thrown with a traceback indicating what went
    wrong on the server": it has every line of the user's code, and none of ours.
    """
    jid = client.call(failing, 0)

    with pytest.raises(CloudException) as caught:
        client.result(jid, WAIT_S)

    text = str(caught.value.value)
    assert str(caught.value) == f"Job {jid} failed: ZeroDivisionError: division by zero"
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("ZeroDivisionError: division by zero")
    assert "in failing" in text
    assert "return deeper(number)" in text
    assert "in deeper" in text
    assert "picloud_worker" not in text
    assert (caught.value.jid, caught.value.status) == (jid, "error")


def test_the_job_s_own_exception_is_the_cause(client: Client) -> None:
    """The exception of a job is the `__cause__` of the raised error, with its attributes."""

    def fail() -> None:
        try:
            deeper(0)
        except ZeroDivisionError as error:
            raise OddError(5, why="of that") from error

    with pytest.raises(CloudException) as caught:
        client.result(client.call(fail), WAIT_S)

    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError | OddError)
    assert "5 because of that" in str(caught.value)
    assert "ZeroDivisionError" in str(caught.value.value)


def test_an_exception_keeps_its_frames(client: Client) -> None:
    """The `__cause__` has the remote frames, so that debuggers and loggers show them."""
    with pytest.raises(CloudException) as caught:
        client.result(client.call(failing, 0), WAIT_S)

    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    frames = []
    trace = cause.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames == ["failing", "deeper"]


@pytest.mark.parametrize("how", CRASHES)
def test_a_process_that_ends_names_its_cause(client: Client, how: str) -> None:
    """A process that ends in the middle of a job is an error that says how it ended, never a silent
    None; the job does not run again, and the slot goes on.
    """
    jid = client.call(crash, how)

    with pytest.raises(CloudException, match=CRASHES[how]):
        client.result(jid, WAIT_S)

    assert client.status(jid) == "error"
    assert client.result(client.call(abs, -1), WAIT_S) == 1


def test_a_crash_harms_only_its_own_job(client: Client) -> None:
    """One job of a map that crashes its process is one error; the others are done."""

    def some(number: int) -> int:
        if number == 50:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    jids = client.map(some, range(100))

    results = client.result(jids, WAIT_S, ignore_errors=True)

    assert results.pop(50).jid == jids[50]
    assert results == [number for number in range(100) if number != 50]
    assert client.status(jids[50]) == "error"


def unpicklable_result() -> Any:
    """A result that cannot be pickled."""
    return {"lock": threading.Lock()}


def unfriendly_result() -> Any:
    """A result whose pickling raises."""

    class Refusing:
        def __reduce__(self) -> Any:
            raise RuntimeError("I stay here")

    return [Refusing()]


def unfriendly_exception() -> Any:
    """An exception that raises on each access."""

    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        def __reduce__(self) -> Any:
            raise RuntimeError("no pickle")

    raise Nasty


def endless_recursion() -> Any:
    """A function that calls itself without end."""
    return endless_recursion()


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (unpicklable_result, "lock"),
        (unfriendly_result, "I stay here"),
        (unfriendly_exception, "Nasty"),
        (endless_recursion, "RecursionError"),
        (lambda: (_ for _ in ()).throw(KeyboardInterrupt), "KeyboardInterrupt"),
        (lambda: __import__("no_such_module"), "no_such_module"),
    ],
    ids=["result", "reduce", "exception", "recursion", "BaseException", "import"],
)
def test_any_failure_is_an_error_of_its_job(
    client: Client, function: Callable[[], Any], sentence: str
) -> None:
    """The promise: "result: Return value of function that ran on PiCloud cannot be pickled", and
    whatever else user code does wrong, is an error of that job, with a sentence that says what.
    """
    with pytest.raises(CloudException, match=sentence):
        client.result(client.call(function), WAIT_S)

    assert client.result(client.call(abs, -1), WAIT_S) == 1


def error_of(client: Client, function: Callable[..., Any], *args: Any) -> CloudException:
    """Return the error message of a job that fails."""
    with pytest.raises(CloudException) as caught:
        client.result(client.call(function, *args), WAIT_S)
    return caught.value


def test_a_crash_shows_the_job_s_frames_only(client: Client) -> None:
    """A segmentation fault shows the user's frames of the stack, after the last lines of output."""

    def fault() -> None:
        sys.stderr.write("just before\n")
        ctypes.string_at(0)

    text = str(error_of(client, fault))

    assert "signal 11 (SIGSEGV)" in text
    assert "just before" in text
    assert "in fault" in text
    assert "picloud_worker" not in text
    assert "Extension modules" not in text


def test_a_stack_overflow_is_told_in_a_few_lines(client: Client) -> None:
    """A stack overflow ends the process; repeated frames are counted, not listed.

    The innermost frame may be at another line of the function than the repeated ones.
    """

    class Endless:
        def __repr__(self) -> str:
            return repr(self)

    def overflow() -> str:
        sys.setrecursionlimit(10**9)
        return repr(Endless())

    text = str(error_of(client, overflow))

    assert "signal 11 (SIGSEGV)" in text
    assert "more like it]" in text
    assert text.count("in __repr__") <= 4


def test_out_of_memory_names_limit_and_peak(client: Client) -> None:
    """A job that exceeds its memory limit gets an error with the limit and its peak."""

    def hoard() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
        kept = []
        while True:
            kept.append(bytearray(10**7))

    error = error_of(client, hoard)

    assert re.search(r"out of memory \(limit (300|364|512) MB, peak \d+ MB\)", str(error))
    if "the system ended the process" not in str(error):
        assert "in hoard" in str(error.value)
        assert isinstance(error.__cause__, MemoryError)


def test_too_large_an_object_is_out_of_memory(client: Client) -> None:
    """Without a limit, an allocation that is impossible gets the same error."""
    text = str(error_of(client, bytes, 2**60))

    assert re.search(r"out of memory \((unlimited here|limit (300|364) MB), peak \d+ MB\)", text)


class Vast:
    """Takes more memory than any machine has where it is unpickled."""

    def __reduce__(self) -> Any:
        return bytes, (2**60,)


def test_an_argument_that_does_not_fit_is_out_of_memory(client: Client) -> None:
    """It is the error of its own job, which says what did not fit; the others run."""
    jids = client.map(len, [b"first", Vast(), b"third"])

    results = client.result(jids, WAIT_S, ignore_errors=True)

    assert (results[0], results[2]) == (5, 5)
    assert re.search(r"out of memory \(.*\): the arguments, \d+ bytes", str(results[1]))


def test_sys_exit_shows_where(client: Client) -> None:
    """The promise: "Your jobs should never call sys.exit()": the error says what happened and
    where.
    """

    def leave() -> None:
        sys.exit("that is all")

    text = str(error_of(client, leave))

    assert "the job called sys.exit('that is all')" in text
    assert "in leave" in text


class OnlyThereError(Exception):
    """An exception that can be unpickled in a job only."""

    def __reduce__(self) -> Any:
        return _made_there, self.args


def _made_there(*args: Any) -> OnlyThereError:
    if "PICLOUD_RUNNING" not in os.environ:
        raise RuntimeError("not here")
    return OnlyThereError(*args)


def test_an_exception_that_cannot_be_made_here_is_still_told(client: Client) -> None:
    """Message and traceback come as text, so that they are shown without unpickling."""

    def fail() -> None:
        raise OnlyThereError("far away")

    error = error_of(client, fail)

    assert "OnlyThereError: far away" in str(error)
    assert "in fail" in str(error.value)
    assert error.status == "error"


def test_the_chain_of_causes_can_be_read(client: Client) -> None:
    """A traceback shows what an exception was raised from, as in a local program."""

    def fail() -> None:
        try:
            deeper(0)
        except ZeroDivisionError as error:
            raise ValueError("the outer one") from error

    text = str(error_of(client, fail).value)

    inner, between, outer = (
        text.index("ZeroDivisionError: division by zero"),
        text.index("The above exception was the direct cause"),
        text.index("ValueError: the outer one"),
    )
    assert inner < between < outer


def test_a_generator_is_no_result(client: Client) -> None:
    """The documentation lists generators first among what cannot be serialized; the error says what
    to do instead.
    """
    text = str(error_of(client, lambda: (number for number in range(3))))

    assert "return a list of its items, or use cloud.stream" in text


def test_a_result_that_does_not_pickle_names_the_culprit(client: Client) -> None:
    """The error gives the path to the value that cannot be pickled, within a large result."""
    text = str(error_of(client, lambda: {"fine": 1, "rows": [1, threading.Lock()]}))

    assert "result['rows'][1]" in text


def test_an_argument_that_does_not_pickle_names_the_culprit(client: Client) -> None:
    """The error gives the path to the value that cannot be pickled, through a function's closure
    and its attributes.
    """

    class Model:
        def __init__(self) -> None:
            self._lock = threading.Lock()

    model = Model()

    with pytest.raises(CloudException, match=r"closure .*'model' -> .*_lock"):
        client.call(lambda: model)
    with pytest.raises(CloudException, match=r"args\[0\] -> .*rows.*_lock"):
        client.call(abs, {"rows": [model]})


def noisy(number: int) -> int:
    """Print to every stream there is, and close some."""
    print("x" * 100_000)
    sys.stderr.write("\0\x1b[2J" * 1000)
    os.write(1, b"\xff\xfe" * 10_000)
    os.write(2, b"\xff\xfe" * 10_000)
    sys.stdout.close()
    os.close(1)
    os.close(2)
    return number


def test_what_user_code_prints_breaks_nothing(client: Client) -> None:
    """Floods of text, control characters, invalid text and closed streams do no harm."""
    assert client.result(client.map(noisy, range(20)), WAIT_S) == list(range(20))


def meddle(number: int) -> int:
    """Close every descriptor and change the process."""
    os.closerange(3, 200)
    os.chdir("/")
    os.environ.clear()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.path.clear()
    return number


def test_a_job_that_meddles_harms_nobody_else(client: Client) -> None:
    """A job that closes the descriptors of its process may fail; later jobs do not."""
    client.join(client.map(meddle, range(5)), WAIT_S, ignore_errors=True)

    assert client.result(client.map(abs, range(50)), WAIT_S) == list(range(50))


def test_threads_and_processes_left_behind_end_with_the_interpreter(client: Client) -> None:
    """The promise: "If threads are not terminated [...] the interpreter will be killed", and
    subprocesses too; the job itself is done.
    """

    def leave() -> int:
        import subprocess

        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return subprocess.Popen(["sleep", "600"], start_new_session=True).pid

    pid = client.result(client.call(leave), WAIT_S)

    assert client.result(client.call(ended, pid), WAIT_S)


def ended(pid: int) -> bool:
    """Return whether a process ends within 30 s."""
    import time

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False
