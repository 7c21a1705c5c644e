"""A fake API for one slot, which a test controls and whose requests it sees."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import msgspec
from picloud_model import pack, wire
from picloud_model.wire.secret import JobSecret, JobSecrets, JobSecretsRequest

from tests.polling import DEADLINE_S, until
from tests.unit.worker.fake_http import Handler, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from picloud_model.wire.blob import SharedDirectories

HERE = pack.Envelope.here(cloudpickle.__version__)
SHORT_POLL_S = 0.5


class SubmittedBatch(msgspec.Struct, kw_only=True):
    """A batch; `free` are the indexes of jobs that no slot holds."""

    lease: wire.Lease
    size: int
    arguments: list[bytes]
    free: deque[int]
    attempts: list[int]


class FakeApi:
    """Holds batches, gives leases of `size` jobs, and records every request."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.requests: list[tuple[str, Any]] = []
        self.batches: dict[str, SubmittedBatch] = {}
        self.ended: dict[tuple[str, int], wire.JobReport] = {}
        self.held: dict[tuple[str, int], int] = {}
        self.kills: list[wire.AttemptRef] = []
        self.live: list[wire.LiveQuery] = []
        self.lost: list[wire.AttemptRef] = []
        self._said = wire.HeartbeatAnswer()
        """All that answers to heartbeats had; each may have been given up meanwhile."""
        self.blobs: dict[str, bytes] = {}
        self.files: SharedDirectories | None = None
        self.presigned: dict[str, str] = {}
        self.refusals: list[tuple[int, bytes]] = []
        """What PUTs are answered with instead of being stored, the last one first."""
        self.most_blobs = 1000
        self.secrets: list[JobSecret] = []
        self.secrets_away = 0
        """How many requests for secrets find the store of secrets away."""
        self.granted = wire.SlotGranted(slot=1, token="t" * 20, account="a", idle_s=60.0)
        self.refuse_slots = False
        self.faults = 0
        self.drop_answers = 0
        self.connections = 0
        self.exit = False
        self.stay = False
        self.port = 0
        self._server: Server | None = None
        self._next_jid = 1

    # --- control ----------------------------------------------------------------------------

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = Server(self.port, type("Bound", (Handler,), {"fake": self}))
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Close all connections, and refuse new ones."""
        if self._server is not None:
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
            self._server = None

    def submit(
        self, function: Callable[..., Any], arguments: Iterable[Any] = ((),), **more: Any
    ) -> str:
        """Queue a batch with tuples of positional arguments; a lease has up to `size` jobs."""
        size = more.pop("size", 1000)
        for name in [name for name in sys.modules if name.startswith("tests.unit.worker.")]:
            cloudpickle.register_pickle_by_value(sys.modules[name])
        raw = cloudpickle.dumps(function) if callable(function) else function
        parcels = [pack.seal(cloudpickle.dumps((args, {}))) for args in arguments]
        batch = f"{self._next_jid:032x}"
        lease = wire.Lease(
            batch=batch,
            first=self._next_jid,
            envelope=more.pop("envelope", HERE),
            function=more.pop("content", None)
            or wire.Content(sha256(raw).hexdigest(), len(raw), pack.seal(raw)),
            function_name="f",
            bundle=more.pop("bundle", ""),
            options=more.pop("options", wire.Options()),
            jobs=[],
            pack=more.pop("pack", None),
            announced=more.pop("announced", False),
        )
        with self.changed:
            self._next_jid += len(parcels)
            indexes = range(len(parcels))
            self.batches[batch] = SubmittedBatch(
                lease=lease,
                size=size,
                arguments=parcels,
                free=deque(indexes),
                attempts=[0] * len(parcels),
            )
            self.changed.notify_all()
        return batch

    def store(self, data: bytes) -> str:
        """Store a blob, and return its digest."""
        digest = sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest

    def kill(self, batch: str, index: int, times: int = 1) -> None:
        """Kill a job that the slot holds; the server may name it several times."""
        with self.changed:
            self.kills += [wire.AttemptRef(batch, index, self.held[batch, index])] * times
            self.changed.notify_all()

    def lose(self, batch: str, index: int) -> None:
        """Take a job away from the slot."""
        with self.changed:
            self.lost.append(wire.AttemptRef(batch, index, self.held.pop((batch, index))))
            self.changed.notify_all()

    # --- observation ------------------------------------------------------------------------

    def until(self, condition: Callable[[], Any], timeout_s: float = DEADLINE_S) -> Any:
        """Wait until a condition about the slot is true, and return its value."""
        return until(condition, "what the slot is to do", timeout_s)

    def outcome(self, batch: str, index: int = 0, timeout_s: float = DEADLINE_S) -> wire.JobReport:
        """Wait for the end of a job, and return its report."""
        ended: wire.JobReport = self.until(lambda: self.ended.get((batch, index)), timeout_s)
        return ended

    def result(self, batch: str, index: int = 0) -> Any:
        """Wait for the end of a job, and return its result."""
        ended = self.outcome(batch, index)
        payload = self.blobs[ended.blob.digest] if ended.blob else ended.payload
        assert ended.state == 5, self.failure(batch, index)
        return cloudpickle.loads(pack.unseal(payload))

    def failure(self, batch: str, index: int = 0, timeout_s: float = DEADLINE_S) -> wire.Failure:
        """Wait for the end of a job, and return its failure."""
        ended = self.outcome(batch, index, timeout_s)
        return wire.decode(bytes(pack.unseal(ended.payload)), wire.Failure)

    def seen(self, path: str) -> list[Any]:
        """Return the requests to a path."""
        return [body for to, body in list(self.requests) if to == path]

    # --- answers ----------------------------------------------------------------------------

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        if path == "/v1/secrets/job" and self.secrets_away:
            self.secrets_away -= 1
            return 503, wire.Problem(code="unavailable", message="not now")
        if self.faults:
            self.faults -= 1
            return 503, wire.Problem(code="unavailable", message="not now")
        if self.refuse_slots:
            return 403, wire.Problem(code="slot.refused", message="this slot is unknown")
        kind, handle = _POSTS[path]
        request: Any = wire.decode(body, kind)
        with self.changed:
            self.requests.append((path, request))
            answer = handle(self, request)
            self.changed.notify_all()
        return 200, answer

    def _slots(self, _: wire.SlotRequest) -> wire.SlotGranted:
        return self.granted

    def _work(self, request: wire.WorkRequest) -> wire.WorkAnswer:
        for report in request.reports:
            for ended in report.ended:
                if self.held.get((report.batch, ended.index)) == ended.attempt:
                    del self.held[report.batch, ended.index]
                    self.ended[report.batch, ended.index] = ended
        released = list(request.returned)
        if request.resync or request.leaving:
            kept = {(ref.batch, ref.index) for ref in request.holding}
            lost = [key for key in self.held if key not in kept]
            released += [wire.AttemptRef(*key, self.held[key]) for key in lost]
        for ref in released:
            if self.held.pop((ref.batch, ref.index), None) is not None:
                self.batches[ref.batch].free.appendleft(ref.index)
        self.changed.notify_all()
        deadline = time.monotonic() + min(request.wait_s, SHORT_POLL_S)
        leases = self._leases() if request.lease else []
        while request.lease and not leases and not self.exit and time.monotonic() < deadline:
            self.changed.wait(deadline - time.monotonic())
            leases = self._leases()
        kills, self.kills = self.kills, []
        return wire.WorkAnswer(leases=leases, kills=kills, exit=self.exit, stay=self.stay)

    def _leases(self) -> list[wire.Lease]:
        for batch, submitted in self.batches.items():
            jobs: list[wire.LeasedJob] = []
            while submitted.free and len(jobs) < submitted.size:
                index = submitted.free.popleft()
                submitted.attempts[index] += 1
                self.held[batch, index] = submitted.attempts[index]
                parcel = b"" if submitted.lease.pack else submitted.arguments[index]
                jobs.append(wire.LeasedJob(index, submitted.attempts[index], parcel))
            if jobs:
                return [msgspec.structs.replace(submitted.lease, jobs=jobs)]
        return []

    def _heartbeat(self, request: wire.HeartbeatRequest) -> wire.HeartbeatAnswer:
        deadline = time.monotonic() + min(request.wait_s, SHORT_POLL_S)
        while not (self.kills or self.lost or self.live) and time.monotonic() < deadline:
            self.changed.wait(deadline - time.monotonic())
        live, self.live = self.live, []
        kills, self.kills = self.kills, []
        lost, self.lost = self.lost, []
        self._said.kills.extend(kills)
        self._said.lost.extend(lost)
        self._said.live.extend(live)
        if not (kills or lost or live):
            kills, lost, live = self._unheard(request)
        return wire.HeartbeatAnswer(kills=kills, lost=lost, live=live, exit=self.exit)

    def _unheard(
        self, request: wire.HeartbeatRequest
    ) -> tuple[list[wire.AttemptRef], list[wire.AttemptRef], list[wire.LiveQuery]]:
        """Return what the slot shows no sign of having received; the server repeats this, too."""
        answered = {each.number for beat in self.seen("/v1/heartbeat") for each in beat.live}
        return (
            [
                ref
                for ref in self._said.kills
                if self.held.get((ref.batch, ref.index)) == ref.attempt
            ],
            [ref for ref in self._said.lost if ref in (*request.running, *request.holding)],
            [query for query in self._said.live if query.number not in answered],
        )

    def _secrets(self, request: JobSecretsRequest) -> JobSecrets:
        assert self.held[request.job.batch, request.job.index] == request.job.attempt
        return JobSecrets(secrets=self.secrets)

    def _read(self, request: wire.ReadBlobsRequest) -> wire.BlobsRead:
        digests = request.digests[: self.most_blobs]
        return wire.BlobsRead(blobs=[self.blobs[digest] for digest in digests])

    def _missing(self, request: wire.MissingBlobsRequest) -> wire.BlobsMissing:
        if request.files == "written" and self.files is not None:
            for digest in request.digests:
                self.blobs[digest] = Path(self.files.incoming, digest).read_bytes()
        missing = [digest for digest in request.digests if digest not in self.blobs]
        return wire.BlobsMissing(
            uploads=[
                wire.Upload(digest, self.presigned.get("put", f"/v1/blobs/{digest}"), {"x-a": "b"})
                for digest in missing
            ],
            files=self.files if request.files == "where" else None,
        )


_POSTS: dict[str, tuple[Any, Callable[[FakeApi, Any], Any]]] = {
    "/v1/slots": (wire.SlotRequest, FakeApi._slots),
    "/v1/work": (wire.WorkRequest, FakeApi._work),
    "/v1/heartbeat": (wire.HeartbeatRequest, FakeApi._heartbeat),
    "/v1/secrets/job": (JobSecretsRequest, FakeApi._secrets),
    "/v1/blobs/read": (wire.ReadBlobsRequest, FakeApi._read),
    "/v1/blobs/missing": (wire.MissingBlobsRequest, FakeApi._missing),
}
