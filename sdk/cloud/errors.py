"""The exceptions that the SDK raises.

    CloudException              any request that fails, and every failed job
    ├── CloudTimeoutError       a timeout was reached before all jobs had ended
    ├── CloudTypeError          an argument has a wrong type, or a function does not take it
    ├── CloudValueError         an argument has a value that is refused, here or by the server
    ├── CloudConnectionError    no server answers, or none can serve requests now
    ├── CommandFailed           a shell command failed (raised in its job)
    └── BlobsLacking            the server lacks bytes that a submit refers to (they are uploaded)

`EXCEPTIONS` maps the platform's own errors to these.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from picloud_model import errors as model
from picloud_model.job import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire import Problem


class CloudException(Exception):
    """A request failed, or a job failed.

    Args:
        value: A description; for a failed job also its remote traceback, or the end of its output.
        jid: The job that this is about; after waiting for several jobs, the unfinished jobs.
        status: The status of the job.
        retry: Whether the same request may succeed later.
        code: The server's stable name for the error.
        summary: The error of a failed job in one line.

    Attributes:
        among: If it was raised for one of several jobs, how many failed, and which item this was.

    >>> str(cloud.CloudException("it broke", jid=8))
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
        # With exactly these `args` a job can raise it and the result can be pickled.
        super().__init__(value, jid, status, retry)
        self.value = value
        self.jid = jid
        self.status = status
        self.retry = retry
        self.code = code
        self.summary = summary or str(value)
        self.among = ""

    def __str__(self) -> str:
        if not isinstance(self.jid, int):
            return str(self.value)
        among = f"{self.among}: " if self.among else ""
        failed = " failed" if self.status == Status.ERROR else ""
        text, details = self.summary, str(self.value)
        # What the cause shows is not shown again.
        if self.__cause__ is None and not text.startswith(details):
            text = details if details.startswith(text) else f"{text}\n{details}"
        return f"{among}Job {self.jid}{failed}: {text}"


class CloudTimeoutError(CloudException, TimeoutError):
    """Jobs were unfinished when the timeout was reached; they continue.

    `jid` is the unfinished job, or a sequence of the unfinished jobs.
    """

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


class CloudValueError(CloudException, ValueError):
    """An argument has a value that is refused, by this library or by the server."""


class CloudConnectionError(CloudException):
    """No server answers, or none can serve requests now."""


class CommandFailed(CloudException):
    """A shell command ended with an exit status other than zero, or could not run.

    Args:
        value: A description.
        exit_code: Its exit status, or minus the number of the signal that ended it; None if it
            could not run or did not write the file to return.
        stderr: The last lines of its standard error.

    >>> CommandFailed("command terminated with nonzero return code 2", 2).exit_code
    2
    """

    def __init__(self, value: object = "", exit_code: int | None = None, stderr: str = "") -> None:
        super().__init__(value)
        self.exit_code = exit_code
        self.stderr = stderr
        if stderr:
            self.add_note(stderr)  # shown in a traceback, but not in the one-line summary

    def __reduce__(self) -> tuple[type[CommandFailed], tuple[object, int | None, str]]:
        return type(self), (self.value, self.exit_code, self.stderr)


class BlobsLacking(CloudException):
    """The server lacks bytes that a submit refers to; `digests` names them."""

    digests: tuple[str, ...] = ()


EXCEPTIONS: Final[dict[str, type[CloudException]]] = {
    model.PiCloudError.code: CloudException,
    model.RequestRefused.code: CloudValueError,
    model.RequestConflict.code: CloudException,
    model.TooLarge.code: CloudException,
    model.ArgumentRefused.code: CloudValueError,
    model.SubmitChanged.code: CloudException,
    model.KeyReused.code: CloudException,
    model.ObjectChanged.code: CloudException,
    model.VolumeChanged.code: CloudException,
    model.BucketFull.code: CloudException,
    model.HandlerReplaced.code: CloudException,
    model.NotAllowed.code: CloudException,
    model.AdministratorsOnly.code: CloudException,
    model.RoleRefused.code: CloudException,
    model.MemberNotFound.code: CloudException,
    model.InviteNotFound.code: CloudException,
    model.BudgetReached.code: CloudException,
    model.KeyRefused.code: CloudException,
    model.TokenRefused.code: CloudException,
    model.SlotRefused.code: CloudException,
    model.NotFound.code: CloudException,
    model.JobNotFound.code: CloudException,
    model.JobDeleted.code: CloudException,
    model.KeyNotFound.code: CloudException,
    model.BlobMissing.code: BlobsLacking,
    model.ObjectNotFound.code: CloudException,
    model.UploadNotFound.code: CloudException,
    model.QueueNotFound.code: CloudException,
    model.BudgetNotFound.code: CloudException,
    model.GrantNotFound.code: CloudException,
    model.CronNotFound.code: CloudException,
    model.AttachmentNotFound.code: CloudException,
    model.EndpointNotFound.code: CloudException,
    model.EnvironmentNotFound.code: CloudException,
    model.PathNotFound.code: CloudException,
    model.VolumeNotFound.code: CloudException,
    model.SecretNotFound.code: CloudException,
    model.SecretSourceNotFound.code: CloudException,
    model.Unavailable.code: CloudConnectionError,
    model.AccountBusy.code: CloudConnectionError,
    model.TooManyCalls.code: CloudConnectionError,
    model.InvokedJobFailed.code: CloudException,
    model.ServerFault.code: CloudException,
}
"""The exception class for each error code of the platform."""

_RAISED_IN: Final = "picloud: raised in job"


def raised_for(error: CloudException, *, original: bool) -> Exception:
    """Return the exception to raise for a failed job.

    Args:
        error: The error of the job.
        original: Whether it is the exception of the job's function, if that is known. A note then
            names the job.

    >>> error = CloudException("division by zero", 7, "error")
    >>> error.__cause__ = ZeroDivisionError("division by zero")
    >>> raised_for(error, original=True)
    ZeroDivisionError('division by zero')
    """
    cause = error.__cause__
    # An exit or an interrupt of the job's must not end this process.
    if not original or error.status != Status.ERROR or not isinstance(cause, Exception):
        return error
    note = f"{_RAISED_IN} {error.jid}"
    if note not in getattr(cause, "__notes__", ()):
        with suppress(AttributeError):  # of a class that sets no attributes
            cause.add_note(note)
    return cause


def is_of_job(error: BaseException) -> bool:
    """Return whether an exception is what a job's function raised, as `raised_for` returns it."""
    notes = getattr(error, "__notes__", ())
    return any(isinstance(note, str) and note.startswith(_RAISED_IN) for note in notes)


def in_results(jids: Sequence[int], values: Sequence[Any], *, original: bool) -> list[Any]:
    """Return results in which the errors of failed jobs are what would have been raised."""
    return [
        raised_for(value, original=original)
        if isinstance(value, CloudException) and value.jid == jid
        else value
        for jid, value in zip(jids, values, strict=True)
    ]


def from_problem(problem: Problem) -> CloudException:
    """Return the exception for an error that the server sent.

    A code that this client does not know, from a newer server, is a plain `CloudException`.
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
