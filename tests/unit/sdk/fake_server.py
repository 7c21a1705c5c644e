"""A server in this process behind the interface of the SDK's transport, and a client of it."""

from __future__ import annotations

import itertools
import pickle
import traceback
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloud._client.client import Client
from cloud._config.configuration import Config
from cloud._http.exchange import HttpReply, HttpRequest, NoAnswer
from cloud._http.transport import Backoff, ServerAddress, Transport
from cloud._packing.packer import Packer
from picloud_model import errors, pack, ranges, wire
from picloud_model.info import DEFAULT_KEYS, UNPICKLED, read_keys
from picloud_model.job import Cause
from picloud_model.wire.audit import AuditEntry, AuditListed, AuditRequest
from picloud_model.wire.member import (
    ChangeMemberRequest,
    InviteMade,
    InviteRequest,
    InvitesListed,
    ListedInvite,
    ListedMember,
    MembersListed,
    RemoveMemberRequest,
    RevokeInviteRequest,
)
from picloud_model.wire.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.blob import SharedDirectories

ADDRESS = ServerAddress("http://fake-server", "pk_12ab_secret")


class FakeServer:
    """Keeps batches and blobs in dictionaries; jobs end when a test says so.

    Each request consumes one of `faults`: None lets it pass, an HttpReply replaces the reply,
    "before" loses the request and "after" the reply.
    """

    def __init__(self) -> None:
        self.sent: list[HttpRequest] = []
        self.batches: dict[str, wire.SubmitRequest] = {}
        self.first: dict[str, int] = {}
        self.bytes_of: dict[str, bytes] = {}
        self.staged: dict[str, list[wire.PackPart]] = {}
        self.uploads_for: list[wire.PricedJobs | None] = []
        self.blobs: dict[str, bytes] = {}
        self.files: SharedDirectories | None = None
        self.reads_unsealed = True
        self.ended: dict[int, wire.Outcome] = {}
        self.killed: list[Any] = []
        self.faults: list[Any] = []
        self.most_outcomes = 10_000
        self.on_wait: Callable[[wire.WaitRequest], None] = lambda _: None
        self.envelope = Packer().envelope
        self.next_jid = 1
        self.infos: dict[int, dict[str, Any]] = {}
        self.on_info: Callable[[int], None] = lambda _: None
        self.asked_infos: list[wire.InfoRequest] = []
        self.asked_lists: list[wire.ListRequest] = []
        self.asked_batches: list[wire.BatchesRequest] = []
        self.listed_batches: list[wire.ListedBatch] = []
        self.deleted: list[Any] = []
        self.accounts = ["first"]
        self.members = {"ada": Role.OWNER}
        self.keys = {"12ab": wire.ListedKey(id="12ab", active=True, created_at=100.0, own=True)}

    def exchange(self, sent: HttpRequest) -> HttpReply:
        """Reply as the real server does."""
        self.sent.append(sent)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, HttpReply):
            return fault
        if fault == "before":
            raise NoAnswer("Connection refused")
        try:
            reply = HttpReply(200, {}, self._answer(sent))
        except errors.PiCloudError as error:
            reply = problem(error)
        if fault == "after":
            raise NoAnswer("Connection reset by peer")
        return reply

    def close(self) -> None:
        """Nothing is open."""

    def paths(self) -> list[str]:
        """The method and path of each request, in order."""
        return [f"{sent.method} {sent.url}" for sent in self.sent]

    def parcels(self, submit_id: str) -> list[bytes]:
        """The arguments of a batch, in order."""
        parts = [*self.staged.get(submit_id, []), *self.batches[submit_id].parts]
        packs = [part.content.data or self.blobs[part.content.digest] for part in parts]
        return [held[at] for held in map(pack.Pack, packs) for at in range(len(held))]

    def batch(self) -> wire.SubmitRequest:
        """The only batch."""
        (batch,) = self.batches.values()
        return batch

    def arguments(self) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """The arguments of each job of the only batch."""
        parcels = self.parcels(self.batch().submit_id)
        return [pickle.loads(pack.unseal(parcel)) for parcel in parcels]

    def _answer(self, sent: HttpRequest) -> bytes:
        if sent.method == "PUT":
            data = bytes(sent.body or b"")
            assert sent.url == f"/v1/blobs/{sha256(data).hexdigest()}"
            self.blobs[sha256(data).hexdigest()] = data
            return b""
        if sent.method == "GET":
            return self.blobs[sent.url.rpartition("/")[2]]
        handler = getattr(self, "_" + sent.url.removeprefix("/v1/").replace("/", "_"))
        return wire.encode(handler(sent.body))

    def _jobs(self, body: bytes) -> wire.Submitted:
        request = wire.decode(body, wire.SubmitRequest)
        self._check(request)
        name = request.submit_id
        if self.bytes_of.setdefault(name, body) != body:
            raise errors.SubmitChanged
        if name not in self.batches:
            self.batches[name] = request
            self.first[name] = self.next_jid
            self.next_jid += request.count
        return wire.Submitted(first=self.first[name], count=request.count)

    def _check(self, request: wire.SubmitRequest) -> None:
        named = [request.function, *(part.content for part in request.parts)]
        wanted = [each.digest for each in named if each.data is None]
        wanted += [request.bundle] if request.bundle else []
        lacking = [digest for digest in wanted if digest not in self.blobs]
        if lacking:
            raise errors.BlobMissing(digests=tuple(lacking))

    def _jobs_staged(self, body: bytes) -> wire.Answer:
        request = wire.decode(body, wire.StageRequest)
        self.uploads_for.append(request.jobs)
        parts = self.staged.setdefault(request.submit_id, [])
        parts.extend(part for part in request.parts if part not in parts)
        return wire.Answer()

    def _jobs_status(self, body: bytes) -> wire.Statuses:
        request = wire.decode(body, wire.JobsRequest)
        runs = []
        for jid in ranges.expand(request.jids or []):
            if not 1 <= jid < self.next_jid:
                raise errors.JobNotFound(f"There is no job {jid} in your account.")
            shown = self.infos.get(jid, {}).get("status", "queued")
            status = self.ended[jid].status if jid in self.ended else shown
            runs.append(wire.StatusRun(jid, jid, status))
        return wire.Statuses(runs=runs)

    def _jobs_wait(self, body: bytes) -> wire.Outcomes:
        request = wire.decode(body, wire.WaitRequest)
        self.on_wait(request)
        found = [self.ended[jid] for jid in ranges.expand(request.jids) if jid in self.ended]
        return wire.Outcomes(outcomes=found[: self.most_outcomes], envelopes=[self.envelope])

    def _jobs_kill(self, body: bytes) -> wire.Killed:
        request = wire.decode(body, wire.JobsRequest)
        self.killed.append(request.jids)
        return wire.Killed(count=ranges.count(request.jids or []))

    def _jobs_info(self, body: bytes) -> wire.JobInfos:
        request = wire.decode(body, wire.InfoRequest)
        self.asked_infos.append(request)
        keys = [key.value for key in read_keys(request.keys) or DEFAULT_KEYS]
        jobs = []
        for jid in itertools.islice(ranges.expand(request.jids), self.most_outcomes):
            info = self.infos.get(jid, {})
            since = request.since or {}
            values = {key: info.get(key) for key in keys if key not in UNPICKLED}
            for stream, offset in since.items():
                values[stream] = str(info.get(stream, "")).encode()[offset:].decode()
            ends = {stream: len(str(info.get(stream, "")).encode()) for stream in since}
            arguments = wire.Arguments(info["parcel"]) if "parcel" in info else None
            function = info.get("body") if "func_body" in keys else None
            jobs.append(
                wire.JobInfo(
                    jid=jid, values=values, arguments=arguments, function=function, ends=ends
                )
            )
            self.on_info(jid)
        return wire.JobInfos(jobs=jobs, envelopes=[self.envelope])

    def _jobs_delete(self, body: bytes) -> wire.Deleted:
        request = wire.decode(body, wire.DeleteRequest)
        self.deleted += ["every finished job"] if request.jids is None else request.jids
        return wire.Deleted(count=ranges.count(request.jids))

    def _jobs_list(self, body: bytes) -> wire.JobsListed:
        request = wire.decode(body, wire.ListRequest)
        self.asked_lists.append(request)
        jids = range(min(self.next_jid, request.before or self.next_jid) - 1, 0, -1)
        chosen = list(jids)[: request.limit]
        more = chosen[-1] if chosen and chosen[-1] > 1 else None
        jobs = [
            wire.ListedJob(
                jid=jid,
                status="done",
                function_name="f",
                label=None,
                created_at=100.0,
                started_at=101.0,
                finished_at=102.5,
            )
            for jid in chosen
        ]
        return wire.JobsListed(jobs=jobs, more=more)

    def _jobs_batches(self, body: bytes) -> wire.BatchesListed:
        request = wire.decode(body, wire.BatchesRequest)
        self.asked_batches.append(request)
        before = request.before or self.next_jid
        older = [batch for batch in reversed(self.listed_batches) if batch.jids[-1] < before]
        chosen = older[: request.limit]
        more = chosen[-1].first if len(chosen) < len(older) else None
        return wire.BatchesListed(batches=chosen, more=more, slots=2)

    def _blobs_missing(self, body: bytes) -> wire.BlobsMissing:
        request = wire.decode(body, wire.MissingBlobsRequest)
        if request.files is None:
            self.uploads_for.append(request.jobs)
        if request.files == "written" and self.files is not None:
            for digest in request.digests:
                self.blobs[digest] = Path(self.files.incoming, digest).read_bytes()
        lacking = [digest for digest in request.digests if digest not in self.blobs]
        return wire.BlobsMissing(
            uploads=[wire.Upload(digest, f"/v1/blobs/{digest}") for digest in lacking],
            files=self.files if request.files == "where" else None,
            unsealed=self.reads_unsealed and request.files == "where",
        )

    def _blobs(self, body: bytes) -> wire.BlobsStored:
        sent = wire.decode(body, wire.StoreBlobsRequest).blobs
        named = {sha256(blob).hexdigest(): blob for blob in sent}
        self.blobs.update(named)
        return wire.BlobsStored(digests=list(named))

    def _blobs_read(self, body: bytes) -> wire.BlobsRead:
        digests = wire.decode(body, wire.ReadBlobsRequest).digests
        return wire.BlobsRead(blobs=[self.blobs[digest] for digest in digests])

    def _keys(self, body: bytes) -> wire.KeyMade:
        role = wire.decode(body, wire.KeyRequest).role
        key_id = f"{len(self.keys):012x}"
        self.keys[key_id] = wire.ListedKey(id=key_id, active=True, created_at=200.0, role=role)
        return wire.KeyMade(key=f"pk_{key_id}_secret", account="a1")

    def _keys_list(self, body: bytes) -> wire.KeysListed:
        active_only = wire.decode(body, wire.KeysRequest).active_only
        return wire.KeysListed(
            keys=[key for key in self.keys.values() if key.active or not active_only]
        )

    def _keys_activate(self, body: bytes) -> wire.ListedKey:
        return self._set_active(body, active=True)

    def _keys_deactivate(self, body: bytes) -> wire.ListedKey:
        return self._set_active(body, active=False)

    def _set_active(self, body: bytes, *, active: bool) -> wire.ListedKey:
        key_id = wire.decode(body, wire.KeyIdRequest).id
        if key_id not in self.keys:
            raise errors.KeyNotFound
        key = self.keys[key_id]
        self.keys[key_id] = wire.ListedKey(
            id=key_id, active=active, created_at=key.created_at, own=key.own
        )
        return self.keys[key_id]

    def _members_list(self, body: bytes) -> MembersListed:
        listed = [
            ListedMember(name=name, role=role, joined_at=100.0)
            for name, role in self.members.items()
        ]
        return MembersListed(members=listed)

    def _members_change(self, body: bytes) -> wire.Answer:
        request = wire.decode(body, ChangeMemberRequest)
        self.members[request.name] = request.role
        return wire.Answer()

    def _members_remove(self, body: bytes) -> wire.Answer:
        if self.members.pop(wire.decode(body, RemoveMemberRequest).name, None) is None:
            raise errors.MemberNotFound
        return wire.Answer()

    def _invites(self, body: bytes) -> InviteMade:
        role = wire.decode(body, InviteRequest).role
        return InviteMade(invite=_invite(role), path="/join/a1-secret")

    def _invites_list(self, body: bytes) -> InvitesListed:
        return InvitesListed(invites=[_invite(Role.MEMBER)])

    def _invites_revoke(self, body: bytes) -> wire.Answer:
        wire.decode(body, RevokeInviteRequest)
        return wire.Answer()

    def _audit(self, body: bytes) -> AuditListed:
        request = wire.decode(body, AuditRequest)
        before = 2000 if request.before is None else request.before
        numbers = range(before - 1, max(-1, before - 1 - request.limit), -1)
        return AuditListed(entries=[_entry(number) for number in numbers])

    def _accounts(self, body: bytes) -> wire.KeyMade:
        self.accounts.append(wire.decode(body, wire.AccountRequest).name)
        return wire.KeyMade(key="pk_000000000001_secret", account="a2")

    def _accounts_list(self, body: bytes) -> wire.AccountsListed:
        wire.decode(body, wire.AccountsRequest)
        return wire.AccountsListed(
            accounts=[
                wire.ListedAccount(id=f"a{number}", name=name, created_at=100.0, active_keys=1)
                for number, name in enumerate(self.accounts, 1)
            ]
        )

    def list_batch(self, count: int = 1, **statuses: int) -> wire.ListedBatch:
        """Let the server list a batch of further jobs; without statuses they are done."""
        batch = wire.ListedBatch(
            first=self.next_jid,
            count=count,
            function_name="f",
            label=None,
            created_at=100.0,
            statuses=statuses or {"done": count},
            started_at=101.0,
            finished_at=102.5,
        )
        self.next_jid += count
        self.listed_batches.append(batch)
        return batch

    def done(self, jid: int, value: Any) -> None:
        """Let a job end with a result."""
        self.ended[jid] = wire.Outcome(
            jid=int(jid), status="done", cause=0, payload=result_parcel(value)
        )

    def failed(self, jid: int, error: Exception) -> None:
        """Let a job end with an exception of its function."""
        failure = wire.Failure(
            cause=Cause.EXCEPTION,
            message=f"{type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),
            pickled=result_parcel(error),
        )
        parcel = pack.seal(wire.encode(failure))
        self.ended[jid] = wire.Outcome(
            jid=int(jid), status="error", cause=Cause.EXCEPTION, payload=parcel
        )


def result_parcel(value: Any) -> bytes:
    """A result as a worker packs it."""
    return pack.seal(pickle.dumps(value))


def _entry(number: int) -> AuditEntry:
    refused = "key.not_found" if number == 1999 else ""
    return AuditEntry(
        number=number,
        at=100.0,
        operation="keys",
        address="::1",
        person="ada",
        details=f"id={number}",
        refused=refused,
    )


def _invite(role: Role) -> ListedInvite:
    return ListedInvite(
        id="0123456789ab", role=role, made_by="ada", created_at=100.0, expires_at=700.0
    )


def problem(error: errors.PiCloudError, status: int = 422) -> HttpReply:
    """The reply with an error."""
    digests = list(getattr(error, "digests", ()))
    body = wire.Problem(code=error.code, message=error.message, digests=digests)
    return HttpReply(status, {"content-type": wire.MSGPACK}, wire.encode(body))


def transport_for(server: FakeServer, config: Config | None = None) -> Transport:
    """A transport to the fake server that never pauses."""
    backoff = Backoff(sleep=lambda _: None, random=lambda: 0.5)
    return Transport(ADDRESS, config or Config(), server, backoff)


def client_for(server: FakeServer, config: Config | None = None) -> Client:
    """A client of the fake server that never pauses."""
    settings = config or Config()
    return Client(ADDRESS, settings, transport_for(server, settings))
