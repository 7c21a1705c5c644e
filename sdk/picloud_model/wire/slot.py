"""Slots: how a slot logs in, leases jobs, reports them and says what it runs."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.pack import Envelope
from picloud_model.wire.blob import Content
from picloud_model.wire.body import Answer, JidRanges, Request, SubmitId, Timeout
from picloud_model.wire.job import Options, Outcomes, PackPart
from picloud_model.wire.limits import MAX_ITEMS

_MOST: Final = Meta(max_length=MAX_ITEMS)


class SlotRequest(Request, frozen=True):
    """Exchange the proof that the scheduler gave a slot for a token: `POST /v1/slots`."""

    proof: str


class SlotGranted(Answer, frozen=True):
    """The identity of a slot and its settings; with `job_key` it signs the tokens of its jobs."""

    slot: int
    token: str
    account: str
    idle_s: float = 60.0
    server_grace_s: float = 30.0
    job_key: bytes = b""

    def __repr__(self) -> str:
        return f"SlotGranted(slot={self.slot!r}, account={self.account!r})"


class LeasedJob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One job of a lease: its index in the batch, its attempt, its argument parcel."""

    index: int
    attempt: int
    arguments: bytes


class Lease(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Jobs of one batch for one slot.

    `first` is the batch's first jid: a job's jid is `first + index`. With `pack` a blob holds the
    parcels, at position `index - pack.first`, and each `arguments` is empty. The slot reports the
    one job of an `announced` lease as running before it starts it, and does not start it unless the
    server confirms that it holds the job: so the server knows whether it began if the slot is lost.
    `results` are those of all jobs that the batch depends on, where they are small: its arguments
    may name them.
    """

    batch: str
    first: int
    envelope: Envelope
    function: Content
    function_name: str
    bundle: str
    options: Options
    jobs: list[LeasedJob]
    pack: PackPart | None = None
    announced: bool = False
    results: Outcomes | None = None


class JobReport(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """How one job ended on a slot: DONE, ERROR or KILLED, with a parcel as in `Outcome`.

    `info` is an encoded `Info` (see `pack_info`), where there is any. With `retry` the job failed
    because its process was killed, perhaps from outside: it is queued again if that is the first
    time. `printed` is false if the job wrote nothing to stdout, stderr or its log.
    """

    index: int
    attempt: int
    state: int
    cause: int
    started_at: float
    finished_at: float
    payload: bytes = b""
    blob: Content | None = None
    info: Content | None = None
    retry: bool = False
    printed: bool = True


class AttemptRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Identifies one attempt of a job."""

    batch: SubmitId
    index: int
    attempt: int


class Report(msgspec.Struct, frozen=True, array_like=True):
    """Jobs of one batch that ended, and the envelope of their results."""

    batch: SubmitId
    envelope: Envelope
    ended: Annotated[list[JobReport], _MOST]


class BlockedOn(msgspec.Struct, frozen=True, array_like=True):
    """A job of a slot that waits until some jobs have ended; `timed` if its wait has a timeout."""

    job: AttemptRef
    jids: JidRanges
    timed: bool = False


class WorkRequest(Request, frozen=True):
    """Report and lease in one request: `POST /v1/work`, a long poll when `wait_s` is set.

    `returned` are jobs the slot has not begun and gives back. With `lease` the slot asks for more
    work and waits up to `wait_s`. `holding` are the jobs it still has, begun or not; `resync` says
    that the answer to its last request never arrived, so every other job that the server has leased
    to it goes back into the queue. `leaving` marks the last request of a slot that ends.
    `stopped` are jobs that had begun and were ended with their slot, to run again elsewhere.
    While jobs of the slot are blocked, `awaiting` says on which jobs: then only these jobs, and
    descendants of them or of the blocked ones, are leased to it.
    """

    reports: Annotated[list[Report], _MOST] = []
    returned: Annotated[list[AttemptRef], _MOST] = []
    holding: Annotated[list[AttemptRef], _MOST] = []
    lease: bool = True
    wait_s: Timeout = 0.0
    resync: bool = False
    leaving: bool = False
    awaiting: Annotated[list[BlockedOn], _MOST] = []
    stopped: Annotated[list[AttemptRef], _MOST] = []


class WorkAnswer(Answer, frozen=True):
    """What to run next and what to stop; `exit` ends the slot at once, with status 0.

    A slot that is to `stay` counts as if it had just worked: it is kept warm.
    """

    leases: list[Lease] = []
    kills: list[AttemptRef] = []
    exit: bool = False
    stay: bool = False


class RestartSlotsRequest(Request, frozen=True):
    """End the slots of the account before their next job: `POST /v1/slots/restart`.

    Jobs that run are not affected; jobs that wait get new slots.
    """


class SlotsRestarted(Answer, frozen=True):
    """How many slots are to end."""

    count: int


class LiveAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The slot's answer to a `LiveQuery` of the same number: `info` is b"" if the job has ended."""

    number: int
    info: bytes


class HeartbeatRequest(Request, frozen=True):
    """Say what a slot runs: `POST /v1/heartbeat`, a long poll while a child is busy.

    `running` are the jobs begun, `holding` the rest of the lease, `awaiting` as in `WorkRequest`.
    A `full` slot cannot set any further job aside. The answer comes early when a job is to be
    killed, when a client asks for the info of a running job, or when there is work for a blocked
    slot. `live` holds the infos that the last answer requested.
    """

    running: Annotated[list[AttemptRef], _MOST]
    holding: Annotated[list[AttemptRef], _MOST] = []
    wait_s: Timeout = 5.0
    live: Annotated[list[LiveAnswer], _MOST] = []
    awaiting: Annotated[list[BlockedOn], _MOST] = []
    full: bool = False


class SshOrder(msgspec.Struct, frozen=True, array_like=True):
    """Asks a slot to serve a shell of a job.

    `authority` is the public key that has to have signed the certificate of a client, which has to
    name `principal`. `host_key` is the private key by which the client recognises the job.
    """

    authority: str
    principal: str
    host_key: str

    def __repr__(self) -> str:
        return f"SshOrder(principal={self.principal!r})"


class TunnelOrder(msgspec.Struct, frozen=True, array_like=True):
    """Asks a slot to connect a port of a job to the gateway that listens on `gateway_port`.

    With `ssh` it connects a new shell server instead. The gateway is at the host of the server's
    URL unless `gateway_host` names another one: several machines may share that URL.
    """

    port: int
    gateway_port: int
    ticket: str
    ssh: SshOrder | None = None
    gateway_host: str = ""

    def __repr__(self) -> str:
        return f"TunnelOrder(port={self.port!r}, gateway_port={self.gateway_port!r})"


class LiveQuery(msgspec.Struct, frozen=True, array_like=True):
    """Asks a slot for the info of a job that it runs; `since` as in `InfoRequest`.

    With `tunnel` the slot also connects a port to a gateway, if the job listens on it.
    """

    number: int
    job: AttemptRef
    since: dict[str, int] = {}
    tunnel: TunnelOrder | None = None


class HeartbeatAnswer(Answer, frozen=True):
    """Jobs to kill, and `lost` jobs, which the slot no longer holds: their results are rejected.

    The slot answers the queries in `live` with its next heartbeat, at once. `work` says that a
    blocked slot would be given a job if it asked.
    """

    kills: list[AttemptRef] = []
    lost: list[AttemptRef] = []
    live: list[LiveQuery] = []
    exit: bool = False
    work: bool = False
