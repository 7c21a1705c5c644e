"""A stand-in for the API that speaks the wire to one slot and lets a test see and steer it."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import cloudpickle
import msgspec
from picloud_model import pack, wire

from tests.unit.worker.fake_http import Handler, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HERE = pack.Envelope.here(cloudpickle.__version__)
SHORT_POLL_S = 0.5


class Given(msgspec.Struct):
    """A batch as submitted; `free` are indexes that no slot holds."""

    lease: wire.Lease
    size: int
    arguments: list[bytes]
    free: deque[int]
    attempts: list[int]


class FakeApi:
    """Holds batches, gives leases of `size` jobs, and keeps every request it saw."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.requests: list[tuple[str, Any]] = []
        self.batches: dict[str, Given] = {}
        self.ended: dict[tuple[str, int], wire.JobReport] = {}
        self.held: dict[tuple[str, int], int] = {}
        self.kills: list[wire.AttemptRef] = []
        self.live: list[wire.LiveQuery] = []
        self.lost: list[wire.AttemptRef] = []
        self.blobs: dict[str, bytes] = {}
        self.presigned: dict[str, str] = {}
        self.granted = wire.SlotGranted(slot=1, token="t" * 20, account="a", idle_s=60.0)
        self.refuse_slots = False
        self.faults = 0
        self.drop_answers = 0
        self.exit = False
        self.port = 0
        self._server: Server | None = None
        self._next_jid = 1

    # --- steering ---------------------------------------------------------------------------

    def start(self) -> None:
        """Listen; on the same port as before if there was one."""
        self._server = Server(self.port, type("Bound", (Handler,), {"fake": self}))
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Hang up on everybody and refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
            self._server = None

    def submit(
        self, function: Callable[..., Any], arguments: Iterable[Any] = ((),), **more: Any
    ) -> str:
        """Queue a batch; `arguments` are tuples of positional arguments, `size` jobs a lease."""
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
        )
        with self.changed:
            self._next_jid += len(parcels)
            indexes = range(len(parcels))
            self.batches[batch] = Given(lease, size, parcels, deque(indexes), [0] * len(parcels))
            self.changed.notify_all()
        return batch

    def store(self, data: bytes) -> str:
        """Hold a blob."""
        digest = sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest

    def kill(self, batch: str, index: int) -> None:
        """Ask for the end of a job that is held."""
        with self.changed:
            self.kills.append(wire.AttemptRef(batch, index, self.held[batch, index]))
            self.changed.notify_all()

    def lose(self, batch: str, index: int) -> None:
        """Tell the slot that a job is not its any more."""
        with self.changed:
            self.lost.append(wire.AttemptRef(batch, index, self.held.pop((batch, index))))
            self.changed.notify_all()

    # --- seeing -----------------------------------------------------------------------------

    def until(self, condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
        """Wait until a condition holds; looked at after every request."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while not (found := condition()):
                if not self.changed.wait(min(0.05, deadline - time.monotonic())):
                    assert time.monotonic() < deadline, "the condition never held"
            return found

    def outcome(self, batch: str, index: int = 0, timeout_s: float = 10.0) -> wire.JobReport:
        """How a job ended, waiting for it."""
        ended: wire.JobReport = self.until(lambda: self.ended.get((batch, index)), timeout_s)
        return ended

    def result(self, batch: str, index: int = 0) -> Any:
        """What a job returned, waiting for it."""
        ended = self.outcome(batch, index)
        payload = self.blobs[ended.blob.digest] if ended.blob else ended.payload
        assert ended.state == 5, self.failure(batch, index)
        return cloudpickle.loads(pack.unseal(payload))

    def failure(self, batch: str, index: int = 0, timeout_s: float = 10.0) -> wire.Failure:
        """Why a job failed, waiting for it."""
        ended = self.outcome(batch, index, timeout_s)
        return wire.decode(bytes(pack.unseal(ended.payload)), wire.Failure)

    def seen(self, path: str) -> list[Any]:
        """The requests to a path."""
        return [body for where, body in list(self.requests) if where == path]

    # --- answering --------------------------------------------------------------------------

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """Status and body for a request."""
        if self.faults:
            self.faults -= 1
            return 503, wire.Problem(code="unavailable", message="not now")
        if self.refuse_slots:
            return 403, wire.Problem(code="slot.refused", message="who are you?")
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
        gone = list(request.returned)
        if request.resync or request.leaving:
            kept = {(held.batch, held.index) for held in request.holding}
            gone += [wire.AttemptRef(*key, self.held[key]) for key in self.held if key not in kept]
        for held in gone:
            if self.held.pop((held.batch, held.index), None) is not None:
                self.batches[held.batch].free.appendleft(held.index)
        self.changed.notify_all()
        deadline = time.monotonic() + min(request.wait_s, SHORT_POLL_S)
        leases = self._leases() if request.lease else []
        while request.lease and not leases and not self.exit and time.monotonic() < deadline:
            self.changed.wait(deadline - time.monotonic())
            leases = self._leases()
        kills, self.kills = self.kills, []
        return wire.WorkAnswer(leases=leases, kills=kills, exit=self.exit)

    def _leases(self) -> list[wire.Lease]:
        for batch, given in self.batches.items():
            jobs: list[wire.LeasedJob] = []
            while given.free and len(jobs) < given.size:
                index = given.free.popleft()
                given.attempts[index] += 1
                self.held[batch, index] = given.attempts[index]
                parcel = b"" if given.lease.pack else given.arguments[index]
                jobs.append(wire.LeasedJob(index, given.attempts[index], parcel))
            if jobs:
                return [msgspec.structs.replace(given.lease, jobs=jobs)]
        return []

    def _heartbeat(self, request: wire.HeartbeatRequest) -> wire.HeartbeatAnswer:
        deadline = time.monotonic() + min(request.wait_s, SHORT_POLL_S)
        while not (self.kills or self.lost or self.live) and time.monotonic() < deadline:
            self.changed.wait(deadline - time.monotonic())
        live, self.live = self.live, []
        kills, self.kills = self.kills, []
        lost, self.lost = self.lost, []
        return wire.HeartbeatAnswer(kills=kills, lost=lost, live=live, exit=self.exit)

    def _read(self, request: wire.ReadBlobsRequest) -> wire.BlobsRead:
        return wire.BlobsRead(blobs=[self.blobs[digest] for digest in request.digests])

    def _missing(self, request: wire.MissingBlobsRequest) -> wire.BlobsMissing:
        missing = [digest for digest in request.digests if digest not in self.blobs]
        return wire.BlobsMissing(
            uploads=[
                wire.Upload(digest, self.presigned.get("put", f"/v1/blobs/{digest}"), {"x-a": "b"})
                for digest in missing
            ]
        )


_POSTS: dict[str, tuple[Any, Callable[[FakeApi, Any], Any]]] = {
    "/v1/slots": (wire.SlotRequest, FakeApi._slots),
    "/v1/work": (wire.WorkRequest, FakeApi._work),
    "/v1/heartbeat": (wire.HeartbeatRequest, FakeApi._heartbeat),
    "/v1/blobs/read": (wire.ReadBlobsRequest, FakeApi._read),
    "/v1/blobs/missing": (wire.MissingBlobsRequest, FakeApi._missing),
}
