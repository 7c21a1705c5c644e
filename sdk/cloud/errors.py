"""What the SDK raises.

    CloudException              anything PiCloud could not do, and every failed job
    ├── CloudTimeoutError       jobs were unfinished when the time given was over
    ├── CloudTypeError          an argument of a wrong type, or one that a function does not take
    ├── CloudConnectionError    no server answers, or none can answer now
    ├── CommandFailed           a shell command ended with an error (raised in its job)
    └── BlobsLacking            the server lacks bytes a submit names (answered by an upload)

The platform's own errors become these in one place, by `EXCEPTIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model import errors as model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire import Problem


class CloudException(Exception):
    """PiCloud could not do that, or a job failed.

    Args:
        value: What happened; for a failed job the remote traceback.
        jid: The job this is about; of a wait for several jobs, those that are unfinished.
        status: The job's status.
        retry: Whether the same request may succeed later.
        code: The server's stable name for the error.
        summary: A failed job's error in one line.

    >>> str(CloudException("it broke", jid=8))
    'Job 8: it broke'
    """

    def __init__(
        self,
        value: object = "",
        jid: int | Sequence[int] | None = None,
        status: str | None = None,
        retry: bool = False,
        *,
        code: str | None = None,
        summary: str = "",
    ) -> None:
        # Exactly these in `args` let it be pickled out of a job that lets it pass.
        super().__init__(value, jid, status, retry)
        self.value = value
        self.jid = jid
        self.status = status
        self.retry = retry
        self.code = code
        self.summary = summary or str(value)

    def __str__(self) -> str:
        return f"Job {self.jid}: {self.value}" if isinstance(self.jid, int) else str(self.value)


class CloudTimeoutError(CloudException):
    """Jobs were unfinished when the time given was over."""

    def __init__(
        self,
        value: object = "Timed out",
        jid: int | Sequence[int] | None = None,
        status: str | None = None,
        retry: bool = True,
        *,
        code: str | None = None,
        summary: str = "",
    ) -> None:
        super().__init__(value, jid, status, retry, code=code, summary=summary)


class CloudTypeError(CloudException, TypeError):
    """An argument has the wrong type, or a function does not take the arguments it is given."""


class CloudConnectionError(CloudException):
    """No server answers, or none can answer now."""


class CommandFailed(CloudException):
    """A shell command ended with an exit code other than zero, or could not run.

    Args:
        value: What happened.
        exit_code: Its exit code, or minus the number of the signal that ended it; None where it
            could not run, or did not write what it should have.
        stderr: Its last words.

    >>> CommandFailed("command terminated with nonzero return code 2", 2).exit_code
    2
    """

    def __init__(self, value: object = "", exit_code: int | None = None, stderr: str = "") -> None:
        super().__init__(value)
        self.exit_code = exit_code
        self.stderr = stderr
        if stderr:
            self.add_note(stderr)  # a traceback shows it, the error in one line does not

    def __reduce__(self) -> tuple[type[CommandFailed], tuple[object, int | None, str]]:
        return type(self), (self.value, self.exit_code, self.stderr)


class BlobsLacking(CloudException):
    """The server lacks bytes a submit names; `digests` says which."""

    digests: tuple[str, ...] = ()


EXCEPTIONS: Final[dict[str, type[CloudException]]] = {
    model.PiCloudError.code: CloudException,
    model.RequestRefused.code: CloudException,
    model.TooLarge.code: CloudException,
    model.SubmitChanged.code: CloudException,
    model.NotAllowed.code: CloudException,
    model.AdministratorsOnly.code: CloudException,
    model.KeyRefused.code: CloudException,
    model.TokenRefused.code: CloudException,
    model.SlotRefused.code: CloudException,
    model.NotFound.code: CloudException,
    model.JobNotFound.code: CloudException,
    model.JobDeleted.code: CloudException,
    model.KeyNotFound.code: CloudException,
    model.BlobMissing.code: BlobsLacking,
    model.PathNotFound.code: CloudException,
    model.Unavailable.code: CloudConnectionError,
    model.ServerFault.code: CloudException,
}
"""The exception for each error code of the platform."""


def from_problem(problem: Problem) -> CloudException:
    """The exception for an error the server answered with.

    A code this client does not know, from a newer server, is a plain `CloudException`.
    """
    exception = from_model(problem.error())
    exception.code = problem.code
    return exception


def from_model(error: model.PiCloudError) -> CloudException:
    """Return the exception for an error of the platform.

    >>> from_model(model.RequestRefused("no")).code
    'request.refused'
    """
    later = isinstance(error, model.Unavailable)
    exception = EXCEPTIONS[error.code](error.message, retry=later, code=error.code)
    if isinstance(error, model.BlobMissing) and isinstance(exception, BlobsLacking):
        exception.digests = error.digests
    return exception
