"""The job socket: what a job's process and the supervisor of its slot send each other."""

from __future__ import annotations

from picloud_model.wire.body import Answer, JidRange, Request
from picloud_model.wire.info import Progress


class JobSocketRequest(Request, frozen=True):
    """A message of a job's process to its supervisor, through the socket in `PICLOUD_LINE`.

    Without `awaiting` it asks for a `JobGrant`, with `mount` for a `BucketMounted`, with `volumes`
    for a `VolumesMounted`: to have them, by name, at these mount paths. With `awaiting` the job is
    blocked until these jobs have ended, for as long as the connection stays open. With `progress`
    it says how much is done, and of how much if that is known; nothing is answered.
    """

    awaiting: list[JidRange] | None = None
    timed: bool = False
    mount: bool = False
    volumes: dict[str, str] | None = None
    progress: Progress | None = None


class JobGrant(Answer, frozen=True):
    """Where a job finds the API, and a token that is valid as long as the job runs."""

    url: str
    token: str
    jid: int


class BucketMounted(Answer, frozen=True):
    """Where the bucket is mounted, and whether it is already; or `reason`, why it cannot be.

    An `idle` mount has not been used yet: what serves it starts with the first request of a
    program.
    """

    path: str = ""
    ready: bool = False
    idle: bool = False
    reason: str = ""


class VolumesMounted(Answer, frozen=True):
    """Whether all volumes of a job are at their mount paths; or `reason`, why they are not."""

    ready: bool = False
    reason: str = ""
