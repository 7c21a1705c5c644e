"""Ending a job that runs: why it was told to end, and what it reports then."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace
from picloud_model.errors import RequestRefused
from picloud_model.job import Cause, State
from picloud_model.pack import unseal
from picloud_model.wire import Ended, Failure, decode

from picloud_worker.failure import parcel, told_to_end
from picloud_worker.lease import Entry


class Terminating(msgspec.Struct, frozen=True):
    """A job that was told to end, why, and when it is ended by force (monotonic seconds)."""

    entry: Entry
    why: Failure
    force_at: float

    def told(self, ended: Ended) -> Ended:
        """What is reported of it, wherever the word caught it."""
        try:
            said = decode(bytes(unseal(ended.payload)), Failure)
        except (msgspec.MsgspecError, RequestRefused):
            said = self.why
        failure = told_to_end(said, self.why)
        state = State.KILLED if self.why.cause == Cause.KILLED else State.ERROR
        return replace(ended, state=state, cause=failure.cause, payload=parcel(failure))
