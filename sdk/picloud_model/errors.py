"""The error tree.

    PiCloudError
    ├── RequestRefused            the request itself is wrong
    │   ├── TooLarge
    │   ├── ArgumentRefused
    │   ├── RequestConflict
    │   ├── SubmitChanged
    │   ├── KeyReused
    │   ├── ObjectChanged
    │   ├── VolumeChanged
    │   ├── HandlerReplaced
    │   └── BucketFull
    ├── NotAllowed                the sender may not do that
    │   ├── AdministratorsOnly
    │   ├── RoleRefused
    │   ├── BudgetReached
    │   ├── KeyRefused
    │   ├── TokenRefused
    │   └── SlotRefused
    ├── NotFound
    │   ├── JobNotFound
    │   ├── JobDeleted
    │   ├── KeyNotFound
    │   ├── MemberNotFound
    │   ├── InviteNotFound
    │   ├── BlobMissing
    │   ├── ObjectNotFound
    │   ├── UploadNotFound
    │   ├── QueueNotFound
    │   ├── AttachmentNotFound
    │   ├── BudgetNotFound
    │   ├── GrantNotFound
    │   ├── CronNotFound
    │   ├── EndpointNotFound
    │   ├── EnvironmentNotFound
    │   ├── PathNotFound
    │   ├── VolumeNotFound
    │   ├── SecretNotFound
    │   └── SecretSourceNotFound
    ├── Unavailable               try again later; nothing was lost
    │   ├── AccountBusy
    │   └── TooManyCalls
    ├── InvokedJobFailed          a call of a published function has no result
    └── ServerFault               an internal error of the platform

A class's docstring is its default message; `code` is its name on the wire. Errors are raised low
and mapped once at each border: adapters map vendors' errors to these, the API maps these to HTTP,
and the SDK maps HTTP to `CloudException`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class PiCloudError(Exception):
    """PiCloud could not do that."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.field = field
        super().__init__(self.message)


class RequestRefused(PiCloudError):
    """The request is malformed."""

    code = "request.refused"


class TooLarge(RequestRefused):
    """The request is larger than the server takes."""

    code = "request.too_large"


class ArgumentRefused(RequestRefused):
    """An argument of a published function is missing, unknown or of another type."""

    code = "argument.refused"


class RequestConflict(RequestRefused):
    """The request is valid, but does not go with what exists."""

    code = "request.conflict"


class SubmitChanged(RequestRefused):
    """This submit id was used before with other content; use a new one for new jobs."""

    code = "submit.changed"


class KeyReused(RequestRefused):
    """This key names a job of another function or other arguments; use a new key for a new job."""

    code = "submit.key_reused"


class ObjectChanged(RequestRefused):
    """The object is not the one that the request is for: it was written or removed meanwhile."""

    code = "object.changed"


class VolumeChanged(RequestRefused):
    """Another snapshot of the volume was made in the meantime; try again."""

    code = "volume.changed"


class BucketFull(RequestRefused):
    """Your bucket has no room for that; remove objects first."""

    code = "bucket.full"


class HandlerReplaced(RequestRefused):
    """This job of a handler is to end: another one is attached, or other jobs wait for its slot."""

    code = "attachment.replaced"


class NotAllowed(PiCloudError):
    """You may not do that."""

    code = "not_allowed"


class AdministratorsOnly(NotAllowed):
    """Only an administrator may do that: use a key of the first account."""

    code = "administrators_only"


class RoleRefused(NotAllowed):
    """The role of your key or sign-in does not allow that; an owner of the account can do it."""

    code = "role.refused"


class BudgetReached(NotAllowed):
    """A budget of your account is reached; `picloud budget list` shows it."""

    code = "budget.reached"


class KeyRefused(NotAllowed):
    """The server does not know this API key; set one with `picloud setup` or cloud.setkey()."""

    code = "key.refused"


class TokenRefused(NotAllowed):
    """The job that this token was made for has ended, or runs elsewhere by now."""

    code = "token.refused"


class SlotRefused(NotAllowed):
    """The server does not know this slot, or it has ended."""

    code = "slot.refused"


class NotFound(PiCloudError):
    """There is nothing of that name."""

    code = "not_found"


class JobNotFound(NotFound):
    """No such job in your account."""

    code = "job.not_found"


class JobDeleted(NotFound):
    """The job was deleted."""

    code = "job.deleted"


class KeyNotFound(NotFound):
    """No such API key in your account; `picloud key list` shows them."""

    code = "key.not_found"


class MemberNotFound(NotFound):
    """Your account has no such member; `picloud member list` shows them."""

    code = "member.not_found"


class InviteNotFound(NotFound):
    """Your account has no such invitation; `picloud member invites` shows them."""

    code = "invite.not_found"


class BlobMissing(NotFound):
    """The server does not hold these bytes; upload them and submit again."""

    code = "blob.missing"

    def __init__(
        self, message: str | None = None, *, field: str | None = None, digests: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, field=field)
        self.digests = digests


class ObjectNotFound(NotFound):
    """There is no such object in your bucket."""

    code = "object.not_found"


class UploadNotFound(NotFound):
    """There is no such upload; it was completed or given up."""

    code = "upload.not_found"


class QueueNotFound(NotFound):
    """There is no such queue in your account: create it first."""

    code = "queue.not_found"


class BudgetNotFound(NotFound):
    """There is no such budget; `picloud budget list` shows those that there are."""

    code = "budget.not_found"


class GrantNotFound(NotFound):
    """The account has no such grant; `picloud admin grants` lists those that it has."""

    code = "grant.not_found"


class CronNotFound(NotFound):
    """There is no such cron job in your account; `cloud.cron.list()` shows them."""

    code = "cron.not_found"


class AttachmentNotFound(NotFound):
    """No handler is attached to the queue."""

    code = "attachment.not_found"


class EndpointNotFound(NotFound):
    """No function is published under this label; `cloud.rest.list()` shows those that are."""

    code = "endpoint.not_found"


class EnvironmentNotFound(NotFound):
    """There is no such environment in your account."""

    code = "environment.not_found"


class PathNotFound(NotFound):
    """There is nothing at this address; the interface lives under /v1."""

    code = "path.not_found"


class VolumeNotFound(NotFound):
    """There is no such volume in your account."""

    code = "volume.not_found"


class SecretNotFound(NotFound):
    """There is no such secret in your account; `picloud secret list` shows them."""

    code = "secret.not_found"


class SecretSourceNotFound(NotFound):
    """There is no such secret source; `picloud admin secret-sources` shows them."""

    code = "secret_source.not_found"


class Unavailable(PiCloudError):
    """The service cannot answer now; nothing was lost, try again."""

    code = "unavailable"
    retry_after_s: int = 1
    """After how many seconds the same request may succeed."""


class AccountBusy(Unavailable):
    """Your account has too much under way at once; the same request succeeds a little later."""

    code = "account.busy"


class TooManyCalls(Unavailable):
    """The published function has been called as often as it may be; call it again later."""

    code = "endpoint.too_many_calls"

    def __init__(
        self, message: str | None = None, *, field: str | None = None, retry_after_s: int = 1
    ) -> None:
        super().__init__(message, field=field)
        self.retry_after_s = retry_after_s


class InvokedJobFailed(PiCloudError):
    """The job of the call failed, or JSON cannot hold its result."""

    code = "endpoint.job_failed"


class ServerFault(PiCloudError):
    """The server met a fault of its own; its log says more."""

    code = "server.fault"


def every_error() -> dict[str, type[PiCloudError]]:
    """Return each error of the tree by its code, including the root.

    >>> every_error()["job.not_found"].__name__
    'JobNotFound'
    """
    errors = {PiCloudError.code: PiCloudError}
    waiting = [PiCloudError]
    while waiting:
        for child in waiting.pop().__subclasses__():
            # An adapter's own subclass has the code of its parent.
            errors.setdefault(child.code, child)
            waiting.append(child)
    return errors


def missing_name(what: str, name: str, known: Iterable[str], cure: str = ".") -> str:
    """Return what to say of a name that an account has nothing of.

    Args:
        what: The kind of thing that the name is of.
        name: The name, which may be as long as a request.
        known: The names that there are; one of them is proposed if it is similar.
        cure: The end of the text if none is similar.

    >>> missing_name("secret", "dbb", ["db"])
    "There is no secret 'dbb' in your account; did you mean 'db'?"
    """
    near = nearest_name(name, known)
    hint = f"; did you mean {near!r}?" if near else cure
    return f"There is no {what} {name[:40]!r} in your account{hint}"


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one most likely means, for the text of an error.

    >>> nearest_name("stdot", ["status", "stdout"]), nearest_name("x", ["status"])
    ('stdout', None)
    >>> nearest_name("env", ["eval", "environment"])  # an abbreviation
    'environment'
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only a misspelt name needs it

    known = [*known]
    longer = [each for each in known if len(name) > 1 and each.startswith(name)]
    near = get_close_matches(name[:80], known, 1) or longer
    return near[0] if near else None
