"""The child: a process that runs user code, one job after the other, for one supervisor."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
import traceback
import types
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import cloudpickle
import msgspec
from picloud_model.job import Cause, State
from picloud_model.pack import Envelope
from picloud_pickle import source_lines
from picloud_pickle.results import code

from picloud_worker.child import notebook_names, spawning
from picloud_worker.child.import_watch import ImportWatch
from picloud_worker.child.job_stats import WORTH_S, StatsRecorder
from picloud_worker.child.runner import Runner
from picloud_worker.failure import KillSignalError
from picloud_worker.ipc.claims import Claimant
from picloud_worker.ipc.frames import LENGTH, Assignment, JobDone
from picloud_worker.ipc.scoreboard import Scoreboard
from picloud_worker.restore.check_schedule import CheckSchedule
from picloud_worker.restore.codec_registry import CodecRegistry
from picloud_worker.restore.interpreter_settings import interpreter_settings
from picloud_worker.restore.kernel_settings import kernel_settings
from picloud_worker.restore.leftovers import alone, leftovers
from picloud_worker.restore.module_tables import ModuleTables
from picloud_worker.restore.process_state import ProcessState
from picloud_worker.system import virtual_environment

if TYPE_CHECKING:
    from contextvars import Context
    from io import TextIOWrapper
    from types import FrameType
    from typing import TextIO

    from picloud_model.wire import JobReport

    from picloud_worker.restore.module_tables import TableSnapshot


WAKE: Final = b"w"
"""The one word a child says to its supervisor: look into the pipe of results."""
UNSEEN: Final = 32 * 1024
"""Bytes of results after which the supervisor is woken even if more jobs are at hand."""


class ChildChannels(msgspec.Struct, frozen=True, kw_only=True):
    """What connects a child with its supervisor.

    Descriptors, the child's row of the scoreboard, the name of the job socket, and the directory
    for volumes, which is removed once the child has exited.
    """

    control: int
    claims: int
    results: int
    log: int
    scoreboard: Scoreboard
    child_index: int
    socket_name: str
    volumes: str


class ChildLoop:
    """The main loop of a child: take an assignment, claim and run its jobs, send how they ended."""

    def __init__(self, channels: ChildChannels) -> None:
        self._channels = channels
        self._control = socket.socket(fileno=channels.control)
        self._claimant = Claimant(channels.claims)
        self._runner = Runner(Envelope.here(cloudpickle.__version__), time.time, channels.volumes)
        self._assignments = msgspec.msgpack.Decoder(Assignment)
        self._encoder = msgspec.msgpack.Encoder()
        self._recorder = StatsRecorder(channels.log)
        self._unseen = 0
        self._modules = ""
        self._main_process = True
        self._masks: dict[int, set[int]] = {}
        self._state = ProcessState(())
        self._tables = ModuleTables(self._runner.main.is_patched)
        self._checks = CheckSchedule()
        self._unchecked = ""
        """The digest of a function after whose last job the process was not compared yet."""
        self._late: list[str] = []
        """What such a comparison has restored; the log of the next job says so."""

    def serve(self) -> None:
        """Work until the supervisor hangs up."""
        signal.signal(signal.SIGTERM, self._terminated)
        os.register_at_fork(
            before=self._fork_begins, after_in_parent=self._unblock, after_in_child=self._forked
        )
        faulthandler.enable(2)
        if sys.platform != "win32":
            _dump_on_sigterm()
        source_lines.in_a_job()
        notebook_names.install()
        self._runner.forget_seed()
        codecs = CodecRegistry()
        codecs.install()
        self._state = ProcessState(
            kernel_settings(_dump_on_sigterm) + interpreter_settings(_open_standard_streams, codecs)
        )
        imported = self._runner.random.imported | {
            spawning.MODULE: spawning.watch,
            "mimetypes": self._tables.begin_mimetypes,
        }
        ImportWatch(self._import_begins, self._import_ended, imported).install()
        self._state.accept()
        self._tables.find()
        while (assignment := self._receive()) is not None:
            self._enter(assignment.modules)
            if not self._carry_out(assignment):
                return
            self._wake()
            # Here, as the supervisor does not wait for it: it takes some microseconds.
            if not self._is_as_before():
                return
            self._runner.forget_seed()
            self._runner.main.release()

    def _import_begins(self, name: str) -> tuple[list[Any], TableSnapshot, Context]:
        return self._state.snapshot(), self._tables.snapshot(name), copy_context()

    def _import_ended(self, before: tuple[list[Any], TableSnapshot, Context]) -> None:
        snapshot, tables, context = before
        self._state.keep_changes(snapshot)
        self._tables.keep_changes(tables)
        self._runner.imported_variables.note(context)

    def _carry_out(self, assignment: Assignment) -> bool:
        """Run what can be claimed of an assignment; False when this interpreter must not go on."""
        position, jobs = 0, sum(len(lease.jobs) for lease in assignment.leases)
        scoreboard, child_index = self._channels.scoreboard, self._channels.child_index
        self._runner.results = assignment.results
        for lease in assignment.leases:
            for job in lease.jobs:
                if not self._claimant.claim(assignment.generation):
                    return True
                started_at = time.time()
                scoreboard.begin(
                    child_index, assignment.generation, position, started_at, self._recorder.begin()
                )
                ended = self._runner.run(
                    lease, job, assignment.files, started_at, secrets=assignment.secrets
                )
                # What else in the process ran out of memory is unknown.
                used_up = lease.options.needs_own_process or ended.cause == Cause.MEMORY
                # The list of what it left running belongs to its own output.
                remarks: list[str] = []
                last = position + 1 == jobs or ended.state != State.DONE
                goes_on = (
                    self._flush()
                    and not used_up
                    and self._goes_on(lease.function.digest, ended, remarks, last=last)
                )
                self._say(JobDone(assignment.generation, position, ended), remarks)
                if not goes_on:
                    self._wake()
                    return False
                position += 1
        return True

    def _say(self, done: JobDone, remarks: list[str]) -> None:
        """Report how a job ended."""
        seconds = done.report.finished_at - done.report.started_at
        # One of several quick jobs speaks for all of them.
        wanted = seconds >= WORTH_S or not done.position
        stats = self._recorder.stats(self._runner, remarks, wanted=wanted)
        self._send(done if stats is None else msgspec.structs.replace(done, stats=stats))
        self._recorder.settle(stats, seconds)

    def _flush(self) -> bool:
        """Write out what the job printed."""
        if not self._main_process:
            os._exit(0)  # a fork made by the job came back out of its function: it is not us
        _flush(sys.stdout, sys.__stdout__)
        _flush(sys.stderr, sys.__stderr__)
        return True

    def _goes_on(self, function: str, ended: JobReport, remarks: list[str], *, last: bool) -> bool:
        """Whether the process is as it was before the job, or is again; remarks say what was done.

        Args:
            function: The digest of the job's function.
            ended: How the job ended, and when.
            remarks: What was done is added here.
            last: Whether the process may stay for long as this job leaves it.
        """
        lost: list[str] = []
        now = ended.finished_at
        if self._late:
            remarks.append(f"restored before the job: {', '.join(self._late)}")
            self._late = []
        if last and self._checks.is_trusted(function):
            self._unchecked = function
        elif last or self._checks.is_due(function, now):
            restored, lost = self._compare(function, now)
            if restored:
                remarks.append(f"restored after the job: {', '.join(restored)}")
        running = [] if alone(now - ended.started_at) else self._left()
        for what, why in (("left running", running), ("changed for good", lost)):
            if why:
                remarks.append(f"interpreter replaced after the job: it {what} {', '.join(why)}")
        return not (running or lost)

    def _is_as_before(self) -> bool:
        """Compare after a job that was reported first; False when this interpreter must not go on.

        The jobs of its function have left nothing so far, so its client need not wait for this.
        """
        function, self._unchecked = self._unchecked, ""
        if not function:
            return True
        self._late, lost = self._compare(function, time.time())
        return not lost

    def _compare(self, function: str, now: float) -> tuple[list[str], list[str]]:
        restored, lost = self._state.restore()
        if not lost:
            entries, lost = self._tables.restore()
            restored += entries
        self._checks.checked(function, now, found=bool(restored or lost))
        return restored, lost

    def _send(self, done: JobDone) -> None:
        body = self._encoder.encode(done)
        head = LENGTH.pack(len(body))
        self._unseen += len(body)
        if self._unseen > UNSEEN:
            # The supervisor sees that a frame is not whole and then reads on as it comes.
            self._write(head)
            self._wake()
            self._write(body)
        else:
            self._write(head + body)

    def _write(self, data: bytes) -> None:
        written = os.write(self._channels.results, data)
        while written < len(data):
            written += os.write(self._channels.results, memoryview(data)[written:])

    def _left(self) -> list[str]:
        """Name on stderr what goes on running; it ends with this process."""
        running = leftovers()
        if running:
            text = ", ".join(running)
            line = f"picloud: left running when the job ended, and ended now: {text}\n"
            with contextlib.suppress(OSError):
                os.write(2, line.encode(errors="replace"))
        return running

    def _wake(self) -> None:
        self._unseen = 0
        # A full socket means that the supervisor has words to read: it will look.
        with contextlib.suppress(BlockingIOError):
            self._control.send(WAKE, socket.MSG_DONTWAIT)

    def _receive(self) -> Assignment | None:
        head = self._exactly(LENGTH.size)
        body = self._exactly(LENGTH.unpack(head)[0]) if head else None
        return self._assignments.decode(body) if body else None

    def _exactly(self, size: int) -> bytes | None:
        data = self._control.recv(size)
        if len(data) == size:
            return data
        parts = bytearray(data)
        while 0 < len(parts) < size and data:
            data = self._control.recv(min(size - len(parts), 1 << 20))
            parts += data
        return bytes(parts) if len(parts) == size else None

    def _enter(self, modules: str) -> None:
        """Make the modules of the bundle importable; a child keeps to the first one it is given."""
        if modules and not self._modules:
            self._modules = modules
            sys.path.insert(0, modules)
            code.TREES.add(Path(modules).name, modules)
            self._state.accept()

    def _terminated(self, _signum: int, _at: FrameType | None) -> None:
        if not self._runner.inside:
            return
        if self._channels.scoreboard.is_terminated(self._channels.child_index):
            raise KillSignalError
        # The job sent it itself, or the system did: it does what it does in any program.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    def _fork_begins(self) -> None:
        """Hold SIGTERM back: sent to a new process that still has our handler, it would be lost."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        self._masks[threading.get_ident()] = mask

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.pop(threading.get_ident()))

    def _forked(self) -> None:
        """In a process forked by user code: let go of what belongs to the child alone."""
        self._main_process = False
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._unblock()
        self._control.close()
        for descriptor in (self._channels.claims, self._channels.results):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def become(
    channels: ChildChannels, outputs: tuple[int, int], home: str, environment: str = ""
) -> NoReturn:
    """Turn a freshly forked process into a child and serve; never returns.

    Args:
        channels: Its ties to the supervisor.
        outputs: File descriptors that take stdout and stderr of user code.
        home: Directory that user code finds itself in.
        environment: Directory of its virtual environment; "" for the packages of this process.
    """
    status = 1
    try:
        _take_standard_streams(outputs)
        for descriptor in (channels.control, channels.claims, channels.results, channels.log):
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - no keywords
        Path(home).mkdir(parents=True, exist_ok=True)  # a job may have removed it
        os.chdir(home)
        if environment:
            virtual_environment.enter(environment)
        sys.argv = [""]
        sys.modules["__main__"] = types.ModuleType("__main__")
        path = os.environ.get("PATH", os.defpath)
        os.environ["PATH"] = virtual_environment.own_python_first(path, sys.executable)
        os.environ["PICLOUD_RUNNING"] = "1"
        os.environ["PICLOUD_LINE"] = channels.socket_name
        ChildLoop(channels).serve()
        status = 0
    except BaseException:  # noqa: BLE001 - terminated between two jobs, or its pipes were closed
        traceback.print_exc()
    finally:
        os._exit(status)


def _flush(stream: TextIO, own: TextIO | None) -> None:
    """Flush a standard stream, and the one that was there at first if a job has put another."""
    # User code may have put anything there.
    try:
        stream.flush()
        if own is not stream and own is not None:
            own.flush()
    except Exception:  # noqa: BLE001, S110 - what cannot be flushed is lost with its stream
        pass


def _dump_on_sigterm() -> None:
    """Have the stack written to stderr, too, of jobs that never return to the interpreter."""
    faulthandler.unregister(signal.SIGTERM)
    faulthandler.register(signal.SIGTERM, file=2, chain=True)


def _take_standard_streams(outputs: tuple[int, int]) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in zip((null, *outputs), range(3), strict=True):
        os.dup2(source, target)
        os.close(source)
    _open_standard_streams()


def _open_standard_streams() -> None:
    sys.stdin = sys.__stdin__ = open(0, closefd=False, encoding="utf-8")  # type: ignore[misc]  # noqa: SIM115 - forever
    sys.stdout = sys.__stdout__ = _writer(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _writer(2)  # type: ignore[misc]


def _writer(descriptor: int) -> TextIOWrapper:
    return open(
        descriptor,
        "w",
        encoding="utf-8",
        errors="backslashreplace",
        closefd=False,
        buffering=1,  # what was printed can be read while the job runs, and when it crashes
    )
