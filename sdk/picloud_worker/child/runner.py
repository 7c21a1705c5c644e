"""Running: one job, from its parcels to how it ended. Everything here happens in a child."""

from __future__ import annotations

import contextlib
import contextvars
import mmap
import os
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_model.errors import RequestRefused
from picloud_model.job import Cause, State
from picloud_model.pack import INLINE_BYTES, Envelope, Pack, seal, unseal
from picloud_model.wire import JobReport
from picloud_pickle.results.handed_over import HANDED_OVER

from picloud_worker.advice import another_version
from picloud_worker.child.main_program import Loaded, MainProgram
from picloud_worker.child.random_streams import RandomStreams
from picloud_worker.child.results import pickled, written
from picloud_worker.failure import (
    KillSignalError,
    RefusedError,
    describe,
    parcel,
    safe_text,
    state_of,
)
from picloud_worker.restore import job_variables
from picloud_worker.restore.job_context import ImportedVariables
from picloud_worker.system import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from picloud_model.wire import Content, Lease, LeasedJob
    from picloud_model.wire.secret import JobSecret

    from picloud_worker.ipc.frames import JobProfile

KEPT_FUNCTIONS: Final = 8
KEPT_BYTES: Final = 32 * 1024 * 1024
"""Pickles of the functions that are kept, apart from the last one: data may be part of them."""

_ASYNCHRONOUS: Final = frozenset((CoroutineType, AsyncGeneratorType))


class KeptFunction(NamedTuple):
    """A function that was unpickled, and what came with it of the main program.

    `loaded` is that by name, `brought` its functions by their tokens, `size` the bytes of its
    pickle.
    """

    function: Callable[..., Any]
    loaded: Loaded
    brought: dict[str, Any]
    size: int


class Runner:
    """Runs jobs one after the other and keeps the functions they share.

    Args:
        here: The envelope of this process.
        clock: Seconds since the epoch.
        volumes: The directory for the files of a job's volumes.

    `inside` is true while user code may run: only then a signal to end the job is passed on to it.
    """

    def __init__(self, here: Envelope, clock: Callable[[], float], volumes: str) -> None:
        self._here = here
        self._clock = clock
        self._volumes = volumes
        self._functions: OrderedDict[str, KeptFunction] = OrderedDict()
        self.main: Final = MainProgram()
        self._pack: tuple[str, Pack | None] = ("", None)
        self._warned: set[str] = set()
        self.random = RandomStreams()
        self.imported_variables = ImportedVariables()
        self.inside = False
        self.results = ""
        """The directory to write large results to; "" to send them to the supervisor."""
        self.profile: JobProfile | None = None
        """The profile of the last job, if it was profiled, until it is reported."""

    def run(
        self,
        lease: Lease,
        job: LeasedJob,
        files: Mapping[str, str],
        started_at: float,
        *,
        secrets: Sequence[JobSecret] = (),
    ) -> JobReport:
        """Run one job.

        Args:
            lease: What it belongs to.
            job: Which of its jobs.
            files: Where blobs lie, by digest.
            started_at: When it began, in seconds since the epoch.
            secrets: What its options name as its secrets.
        """
        try:
            self.inside = True
            try:
                if secrets:  # for good: this process runs no other job
                    os.environ.update(secret_variables(secrets))
                payload = self._result(lease, job, files)
            finally:
                self.inside = False
                self.imported_variables.keep()
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is how its job ended
            failure = describe(error)
            return self._ended(job, state_of(failure), failure.cause, started_at, parcel(failure))
        blob = None
        if len(payload) > INLINE_BYTES and self.results:
            blob = written(self.results, payload)
        sent = seal(payload) if blob is None else b""
        return self._ended(job, State.DONE, Cause.NONE, started_at, sent, blob=blob)

    def _ended(
        self,
        job: LeasedJob,
        state: int,
        cause: int,
        started_at: float,
        payload: bytes,
        *,
        blob: Content | None = None,
    ) -> JobReport:
        return JobReport(
            index=job.index,
            attempt=job.attempt,
            state=state,
            cause=cause,
            started_at=started_at,
            finished_at=self._clock(),
            payload=payload,
            blob=blob,
        )

    def _result(self, lease: Lease, job: LeasedJob, files: Mapping[str, str]) -> bytes:
        job_variables.JID.set(lease.first + job.index)
        self._check(lease.envelope)
        if lease.options.traceparent:
            from picloud_worker.trace import traced  # noqa: PLC0415 - few jobs are traced

            with traced(lease, job) as where, variables(where):
                return self._mounted(lease, job, files)
        return self._mounted(lease, job, files)

    def _mounted(self, lease: Lease, job: LeasedJob, files: Mapping[str, str]) -> bytes:
        if lease.options.vols:
            from picloud_worker.child.volumes import mounted  # noqa: PLC0415 - few jobs have some

            with mounted(lease.options.vols, self._volumes) as where, variables(where):
                return self._prepared(lease, job, files)
        return self._prepared(lease, job, files)

    def _prepared(self, lease: Lease, job: LeasedJob, files: Mapping[str, str]) -> bytes:
        options = lease.options
        if options.os_env_vars or options.cwd is not None:
            with variables(options.os_env_vars), working_directory(options.cwd):
                return self._called(lease, job, files)
        return self._called(lease, job, files)

    def _called(self, lease: Lease, job: LeasedJob, files: Mapping[str, str]) -> bytes:
        options = lease.options
        function, _, brought, _ = self._function(lease, files)
        loaded = self.main.collect(brought.copy())
        if lease.results is None:
            args, kwargs = self._arguments(lease, job, files)
        else:
            with HANDED_OVER.during(lease.results, self._here, _loaded):
                args, kwargs = self._arguments(lease, job, files)
        if loaded.names or loaded.patches:
            self.main.hold(loaded)
        if options.seed is not None or self.random.seeded:
            self._seed(options.seed, job.index)
        context = contextvars.copy_context()
        if options.profile:
            value = context.run(self._profiled, function, args, kwargs)
        else:
            value = context.run(function, *args, **kwargs)
            if type(value) in _ASYNCHRONOUS:
                value = context.run(_awaited, value)
        return pickled(value, options.fast_serialization)

    def forget_seed(self) -> None:
        """Undo what a job seeded, on the user's order or by itself, for all jobs after it."""
        if self.random.seeded:
            job_variables.SEED.remove()
        self.random.diverge()

    def _seed(self, seed: int | None, index: int) -> None:
        if seed is not None:
            job_variables.SEED.set(self.random.follow(seed, index))
        elif self.random.seeded:
            self.forget_seed()

    def _profiled(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        from picloud_worker.child.profiler import Profiler  # noqa: PLC0415 - few jobs ask for it

        profiler = Profiler()
        try:
            return profiler.run(_call, (function, args, kwargs), {})
        finally:
            self.profile = profiler.result()

    def _check(self, envelope: Envelope) -> None:
        if envelope == self._here:
            return
        refusal = envelope.refusal(self._here)
        if refusal is not None:
            raise RefusedError(Cause.PAYLOAD, refusal)
        if envelope.cloudpickle not in self._warned:
            self._warned.add(envelope.cloudpickle)
            sys.stderr.write(
                f"picloud: pickled by cloudpickle {envelope.cloudpickle}, "
                f"unpickled by {self._here.cloudpickle}\n"
            )

    def _function(self, lease: Lease, files: Mapping[str, str]) -> KeptFunction:
        digest = lease.function.digest
        kept = self._functions.get(digest) if digest else None
        if kept is None:
            data = lease.function.data
            body = Path(files[digest]).read_bytes() if data is None else data
            brought: dict[str, Any] = {}
            loaded = self.main.collect(brought)
            function = _unpickled(body, "function")
            kept = self._functions[digest] = KeptFunction(function, loaded, brought, len(body))
            self._drop_functions()
        self.main.begin(kept.loaded)
        return kept

    def _drop_functions(self) -> None:
        """Forget the functions that were loaded first, if there are too many."""
        total = sum(kept.size for kept in self._functions.values())
        while len(self._functions) > KEPT_FUNCTIONS or (
            total > KEPT_BYTES and len(self._functions) > 1
        ):
            _, dropped = self._functions.popitem(last=False)
            total -= dropped.size

    def _arguments(
        self, lease: Lease, job: LeasedJob, files: Mapping[str, str]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if lease.pack is None:
            args, kwargs = _unpickled(job.arguments, "arguments")
            return args, kwargs
        digest = lease.pack.content.digest
        item = job.index - lease.pack.first
        parcel = self._opened(digest, files[digest]).view(item)
        # The supervisor has checked the digest of the whole pack when it got it.
        args, kwargs = _unpickled(parcel, "arguments", checked=True)
        return args, kwargs

    def _opened(self, digest: str, path: str) -> Pack:
        last_digest, pack = self._pack
        if pack is None or last_digest != digest:
            with Path(path).open("rb") as file:
                pack = Pack(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
            self._pack = (digest, pack)
        return pack


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = function(*args, **kwargs)
    return _awaited(value) if type(value) in _ASYNCHRONOUS else value


def _awaited(value: Any) -> Any:
    from picloud_worker.child import coroutines  # noqa: PLC0415 - asyncio takes 50 ms

    return coroutines.run(value)


def secret_variables(secrets: Sequence[JobSecret]) -> dict[str, str]:
    """Return the environment variables of secrets; make the files that they name.

    A file is in memory only, and its path leads to a descriptor of this process: it vanishes with
    the process, whatever ends it. Programs that the job starts may open the path, too.

    >>> from picloud_model.wire.secret import JobSecret
    >>> made = secret_variables([JobSecret({"TOKEN": "t"}), JobSecret({"PEM": "k"}, True)])
    >>> made["TOKEN"], Path(made["PEM"]).read_text()
    ('t', 'k')
    """
    made: dict[str, str] = {}
    for secret in secrets:
        for name, value in secret.values.items():
            made[name] = _private_file(name, value) if secret.as_file else value
    return made


def _private_file(name: str, value: str) -> str:
    opened = os.memfd_create(name)
    os.fchmod(opened, 0o600)
    os.write(opened, value.encode())
    return f"/proc/{os.getpid()}/fd/{opened}"


@contextlib.contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while; what they were before comes back afterwards.

    >>> with variables({"GREETING": "hello"}):
    ...     os.environ["GREETING"]
    'hello'
    >>> "GREETING" in os.environ
    False
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def working_directory(path: str | None) -> Iterator[None]:
    """Work in a directory for a while; None for the one that this process is in.

    Raises:
        RefusedError: When the process cannot enter it.
    """
    if path is None:
        yield
        return
    before = Path.cwd()
    try:
        os.chdir(path)
    except OSError as error:
        message = f"the job cannot run in {path}: {error.strerror}"
        raise RefusedError(Cause.ENVIRONMENT, message) from None
    try:
        yield
    finally:
        os.chdir(before)


def _loaded(parcel: bytes) -> Any:
    return pickle.loads(unseal(parcel))


def _unpickled(parcel: bytes | memoryview, what: str, *, checked: bool = False) -> Any:
    try:
        return pickle.loads(unseal(parcel, checked=checked))
    except RequestRefused as error:
        raise RefusedError(Cause.PAYLOAD, f"the {what}: {error.message}") from None
    except KillSignalError:
        raise
    except MemoryError as error:
        why = memory.out_of_memory(memory.peak_bytes())
        raise RefusedError(
            Cause.MEMORY,
            f"{why}: the {what}, {len(parcel):,} bytes when pickled, do not fit: "
            "pass less, or choose a core type with more memory",
        ) from error
    except (Exception, SystemExit, GeneratorExit) as error:
        if (of_version := another_version(error)) is not None:
            message = f"the {what} cannot be unpickled here: {of_version}"
            raise RefusedError(Cause.ENVIRONMENT, message) from None
        if isinstance(error, ImportError):
            raise RefusedError(
                Cause.ENVIRONMENT,
                f"the {what} cannot be unpickled here: {safe_text(error)}; "
                "the module was neither shipped with the job nor is it installed",
            ) from error
        raise RefusedError(
            Cause.PAYLOAD,
            f"the {what} cannot be unpickled: {type(error).__name__}: {safe_text(error)}",
        ) from error
