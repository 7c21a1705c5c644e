"""Running a job in this process: results, refusals, and failures told in full."""

from __future__ import annotations

import os
import pickle
import re
import sys
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest
from msgspec.structs import replace
from picloud_model.job import Cause, State
from picloud_model.pack import INLINE_BYTES, UNSEALED, Envelope, seal, unseal, write
from picloud_model.wire import (
    Content,
    Failure,
    JobReport,
    Lease,
    LeasedJob,
    Options,
    PackPart,
    decode,
)
from picloud_model.wire.secret import JobSecret
from picloud_worker.child.main_program import Loaded
from picloud_worker.child.runner import KEPT_BYTES, KEPT_FUNCTIONS, KeptFunction, Runner, variables
from picloud_worker.failure import MOST_TRACEBACK, KillSignalError

from tests.unit.worker.leases import HERE, leased

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


@pytest.fixture
def runner() -> Runner:
    """A child's runner."""
    return Runner(HERE, lambda: 9.0, "")


def run(runner: Runner, lease: Lease) -> JobReport:
    """Run its first job."""
    return runner.run(lease, lease.jobs[0], {}, 8.0)


def failed(runner: Runner, function: Any, *args: Any) -> Failure:
    """Run a function that fails."""
    ended = run(runner, leased(function, args))
    assert ended.state == State.ERROR
    failure = decode(bytes(unseal(ended.payload)), Failure)
    assert failure.cause == ended.cause
    return failure


def test_a_result_is_sealed(runner: Runner) -> None:
    """What the function returns is pickled, sealed, and reported with both times."""
    ended = run(runner, leased(divmod, (7, 2)))

    assert pickle.loads(unseal(ended.payload)) == (3, 1)
    assert (ended.index, ended.attempt, ended.state, ended.cause) == (0, 1, State.DONE, Cause.NONE)
    assert (ended.started_at, ended.finished_at) == (8.0, 9.0)


def test_a_job_finds_its_secrets_and_the_next_one_does_not(api: FakeApi, worker: Worker) -> None:
    """Each job gets those of its own start, in a process of its own; programs that it starts may
    open their files, which are on no disk.
    """

    def look() -> tuple[int, str | None, str | None]:
        import subprocess

        path = os.environ.get("PEM")
        pem = subprocess.check_output(["cat", path], text=True) if path else None
        return os.getpid(), os.environ.get("TOKEN"), pem

    named = Options(secrets=["a", "b"])
    pem = JobSecret({"PEM": "key"}, as_file=True)
    api.secrets = [JobSecret({"TOKEN": "one"}), pem]
    first = api.result(api.submit(look, [(), ()], options=named))
    api.secrets = [JobSecret({"TOKEN": "two"}), pem]
    second = api.result(api.submit(look, options=named))
    after = api.result(api.submit(look))

    assert [first[1:], second[1:], after[1:]] == [("one", "key"), ("two", "key"), (None, None)]
    assert len({first[0], second[0], after[0]}) == 3


def test_a_job_waits_while_the_store_of_secrets_is_away(api: FakeApi, worker: Worker) -> None:
    """Its slot asks again, and stays; a job without secrets asks for none."""
    api.secrets = [JobSecret({"TOKEN": "one"})]
    api.secrets_away = 2

    batch = api.submit(os.getenv, [("TOKEN",)], options=Options(secrets=["a"]))

    assert api.result(batch) == "one"
    assert api.ended[batch, 0].attempt == 1
    asked = len(api.seen("/v1/secrets/job"))
    assert api.result(api.submit(os.getenv, [("TOKEN",)])) is None
    assert len(api.seen("/v1/secrets/job")) == asked


def test_variables_are_set_while_the_job_runs(api: FakeApi, worker: Worker) -> None:
    """The next job in the same interpreter finds the earlier values."""

    def read(path: str | None = None) -> tuple[int, str | None, str | None]:
        values = os.getpid(), os.environ.get("GREETING"), os.environ.get("PATH")
        if path:
            os.environ["GREETING"] = "changed by the job"
        return values

    process, before, path = api.result(api.submit(read))
    options = Options(os_env_vars={"GREETING": "hello", "PATH": "/mine"})

    during = api.result(api.submit(read, [("x",)], options=options))
    after = api.result(api.submit(read))

    assert before is None
    assert during == (process, "hello", "/mine")
    assert after == (process, None, path)


def test_variables_are_restored_after_an_error(runner: Runner) -> None:
    """A job that raises leaves the variables as they were."""

    def raises() -> None:
        raise ValueError(os.environ["GREETING"])

    lease = replace(leased(raises), options=Options(os_env_vars={"GREETING": "hello"}))
    with variables({"GREETING": "before"}):
        report = run(runner, lease)
        assert os.environ["GREETING"] == "before"

    assert decode(bytes(unseal(report.payload)), Failure).message == "ValueError: hello"


def test_keywords_are_passed(runner: Runner) -> None:
    """The argument parcel holds the pair of positional and keyword arguments."""
    lease = leased(lambda *a, **k: (a, k))
    job = LeasedJob(0, 1, seal(cloudpickle.dumps(((1,), {"k": 2}))))

    ended = runner.run(lease, job, {}, 0.0)

    assert pickle.loads(unseal(ended.payload)) == ((1,), {"k": 2})


def test_a_local_class_travels_back(runner: Runner) -> None:
    """Results that only cloudpickle can write are written by it."""

    def make() -> Any:
        class Local:
            value = 5

        return Local()

    assert pickle.loads(unseal(run(runner, leased(make)).payload)).value == 5


def test_functions_and_packs_are_read_from_files(runner: Runner, tmp_path: Path) -> None:
    """Blobs are opened where the supervisor says; a job's parcel is found by its position."""
    function, pack = tmp_path / "function", tmp_path / "pack"
    function.write_bytes(seal(cloudpickle.dumps(abs)))
    pack.write_bytes(write([seal(cloudpickle.dumps(((-n,), {}))) for n in range(5)]))
    part = PackPart(10, 5, Content("p", 1))
    lease = Lease(
        batch="b",
        first=1,
        envelope=HERE,
        function=Content("d", 1),
        function_name="f",
        bundle="",
        options=Options(),
        jobs=[],
        pack=part,
    )

    ended = runner.run(lease, LeasedJob(13, 1, b""), {"d": str(function), "p": str(pack)}, 0.0)

    assert pickle.loads(unseal(ended.payload)) == 3


def test_a_blob_is_not_hashed_again(runner: Runner, tmp_path: Path) -> None:
    """The supervisor has checked the digest of the pack: its parcels need none that is right."""
    pack = tmp_path / "pack"
    pack.write_bytes(write([UNSEALED + cloudpickle.dumps(((-3,), {})), bytes(8) + b"N."]))
    lease = replace(leased(abs), pack=PackPart(0, 2, Content("p", 1)))

    ended = runner.run(lease, LeasedJob(0, 1, b""), {"p": str(pack)}, 0.0)

    assert pickle.loads(unseal(ended.payload)) == 3


def test_a_large_result_is_a_file(runner: Runner, tmp_path: Path) -> None:
    """Where the server takes files, the bytes are written once, under their digest."""
    runner.results = f"{tmp_path}/"

    ended = run(runner, leased(bytes, (INLINE_BYTES,)))

    (written,) = tmp_path.iterdir()
    data = written.read_bytes()
    assert (ended.payload, ended.blob) == (b"", Content(sha256(data).hexdigest(), len(data)))
    assert written.name == sha256(data).hexdigest()
    assert pickle.loads(unseal(data)) == bytes(INLINE_BYTES)


def test_a_large_result_that_cannot_be_written_is_sent(runner: Runner) -> None:
    """It goes to the supervisor, as where the server is on another machine."""
    runner.results = "/nowhere/"

    ended = run(runner, leased(bytes, (INLINE_BYTES,)))

    assert ended.blob is None
    assert pickle.loads(unseal(ended.payload)) == bytes(INLINE_BYTES)


def test_some_functions_are_kept(runner: Runner) -> None:
    """The latest ones, and of those with much data one only."""
    small = [leased(partial(max, number), (0,)) for number in range(KEPT_FUNCTIONS + 1)]
    data = bytes(KEPT_BYTES * 2 // 3)
    large = [leased(partial(choose, data), (b"",)) for choose in (max, min)]

    kept = []
    for lease in (*small, *large):
        run(runner, lease)
        kept.append(set(runner._functions))

    digests = [lease.function.digest for lease in (*small, *large)]
    assert kept[KEPT_FUNCTIONS] == set(digests[1 : KEPT_FUNCTIONS + 1])
    assert kept[-1] == {digests[-1]}


def test_another_python_is_refused(runner: Runner) -> None:
    """Bytes of another minor version are not unpickled; the sentence names both."""
    ended = run(runner, leased(b"not looked at", envelope=Envelope("3.2", "3.1")))

    failure = decode(bytes(unseal(ended.payload)), Failure)
    assert failure.cause == Cause.PAYLOAD
    assert failure.message.startswith("pickled by Python 3.2, but this is Python 3.")


def test_another_cloudpickle_warns_once(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """The job runs, and its stderr names both versions, but not for each job."""
    for _ in range(2):
        ended = run(runner, leased(abs, (-1,), Envelope(HERE.python, "0.1")))

    assert ended.state == State.DONE
    assert capsys.readouterr().err.count("cloudpickle 0.1") == 1


def test_a_damaged_parcel_is_refused(runner: Runner) -> None:
    """A wrong digest means that nothing is unpickled."""
    lease = leased(abs)
    job = LeasedJob(0, 1, bytes(8) + b"damaged")

    failure = decode(bytes(unseal(runner.run(lease, job, {}, 0.0).payload)), Failure)

    assert failure.cause == Cause.PAYLOAD
    assert failure.message == (
        "the arguments: A payload of 7 bytes is damaged: its digest is wrong."
    )


def test_a_missing_module_is_the_environments_failure(runner: Runner) -> None:
    """A function whose module is not here says which one, and what that means."""
    failure = failed(runner, seal(b"cnowhere_to_be_found\nf\n."))

    assert failure.cause == Cause.ENVIRONMENT
    assert "No module named 'nowhere_to_be_found'" in failure.message


@pytest.mark.parametrize(
    ("pickled", "lacking"),
    [
        (b"cpicloud_pickle.of_tomorrow\nf\n.", "picloud_pickle.of_tomorrow"),
        (b"cpicloud_pickle.rebuild\nof_tomorrow\n.", "picloud_pickle.rebuild.of_tomorrow"),
    ],
)
def test_a_newer_client_is_named(runner: Runner, pickled: bytes, lacking: str) -> None:
    """What pickles of a newer PiCloud need, and an older slot lacks, is not the user's fault."""
    failure = failed(runner, seal(pickled))

    assert failure.cause == Cause.ENVIRONMENT
    assert f"PiCloud ({version('picloud')}) has no {lacking}; the program" in failure.message
    assert "restart the server after an upgrade" in failure.message


class Explosive:
    """Raises when unpickled, an exception that raises when shown."""

    def __reduce__(self) -> Any:
        return explode, ()


class UnspeakableError(Exception):
    """Has no text and no repr."""

    def __str__(self) -> str:
        raise RuntimeError("no str")

    __repr__ = __str__


def explode() -> None:
    """Raise."""
    raise UnspeakableError


def test_arguments_that_do_not_unpickle_are_refused(runner: Runner) -> None:
    """Whatever unpickling raises is the payload's failure."""
    failure = failed(runner, print, Explosive())

    assert failure.cause == Cause.PAYLOAD
    assert failure.message == (
        "the arguments cannot be unpickled: UnspeakableError: <its text failed: RuntimeError>"
    )
    assert "in explode" in failure.traceback


class Vast:
    """Takes more memory than any machine has when it is unpickled."""

    def __reduce__(self) -> Any:
        return bytes, (2**60,)


def test_arguments_that_do_not_fit_are_out_of_memory(runner: Runner) -> None:
    """The cause is the memory, not the pickle; the message says what did not fit."""
    failure = failed(runner, print, Vast())

    assert failure.cause == Cause.MEMORY
    assert re.fullmatch(
        r"out of memory \(.*, peak [\d,]+ MB\): the arguments, \d+ bytes when pickled, do not fit: "
        "pass less, or choose a core type with more memory",
        failure.message,
    )
    assert "MemoryError" in failure.traceback


def test_an_exception_is_told_in_full(runner: Runner) -> None:
    """Type, text, traceback with its causes and without our frames, and the exception itself."""

    def inner() -> None:
        raise ValueError("a\nb")

    def outer() -> None:
        try:
            inner()
        except ValueError as error:
            raise KeyError("k") from error

    failure = failed(runner, outer)

    assert (failure.cause, failure.exception) == (Cause.EXCEPTION, "KeyError")
    assert failure.message == "KeyError: 'k'"
    assert failure.traceback.index("ValueError: a\nb") < failure.traceback.index("KeyError: 'k'")
    assert "in inner" in failure.traceback
    assert "picloud_worker" not in failure.traceback
    assert failure.pickled is not None
    error = pickle.loads(unseal(failure.pickled))
    assert isinstance(error, KeyError)
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_frame.f_code.co_name == "outer"


def test_exceptions_that_cannot_be_shown_are_told(runner: Runner) -> None:
    """An exception whose str() and repr() raise has a failure like any other."""
    failure = failed(runner, explode)

    assert failure.message == "UnspeakableError: <its text failed: RuntimeError>"
    assert "in explode" in failure.traceback


def test_huge_failures_are_cut(runner: Runner) -> None:
    """A failure stays small however long its text is."""

    def shout() -> None:
        raise ValueError("x" * 10_000_000)

    failure = failed(runner, shout)

    assert len(failure.message) < 5_000
    assert len(failure.traceback) < 2 * MOST_TRACEBACK
    assert failure.pickled is not None
    assert len(failure.pickled) < 5_000


@pytest.mark.parametrize(
    ("code", "message"),
    [(3, "the job called sys.exit(3)"), ("bye", "the job called sys.exit('bye')")],
)
def test_sys_exit_is_told(runner: Runner, code: object, message: str) -> None:
    """sys.exit in a job is an error of its own cause, never an end of the child."""
    failure = failed(runner, sys.exit, code)

    assert (failure.cause, failure.message) == (Cause.EXIT, message)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, BaseException])
def test_base_exceptions_are_told(runner: Runner, kind: type[BaseException]) -> None:
    """Exceptions outside of Exception end the job, not the child."""

    def throw() -> None:
        raise kind

    assert failed(runner, throw).message == kind.__name__


def test_endless_recursion_is_told(runner: Runner) -> None:
    """A recursion error is an exception like any other."""

    def again(n: int) -> int:
        return again(n + 1)

    assert failed(runner, again, 0).exception == "RecursionError"


def test_a_kill_is_told(runner: Runner) -> None:
    """The signal to end raises inside user code; the job is killed, not failed."""

    def told() -> None:
        assert runner.inside
        raise KillSignalError

    lease = leased(abs)
    runner._functions[lease.function.digest] = KeptFunction(told, Loaded({}, []), {}, 0)
    ended = runner.run(lease, LeasedJob(0, 1, seal(pickle.dumps(((), {})))), {}, 0.0)

    failure = decode(bytes(unseal(ended.payload)), Failure)
    assert (ended.state, ended.cause) == (State.KILLED, Cause.KILLED)
    assert "in told" in failure.traceback
    assert not runner.inside
