"""A user's jobs and their blobs, as clients and slots send them: for tests of the sweep."""

from __future__ import annotations

import uuid
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model import pack, wire
from picloud_model.errors import BlobMissing
from picloud_model.job import State

from tests.unit.api.api_harness import ACCOUNT, ENVELOPE

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession

    from tests.unit.api.api_harness import ApiHarness

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def content(data: bytes) -> wire.Content:
    """Return the content of a blob."""
    return wire.Content(sha256(data).hexdigest(), len(data))


def bundle(*modules: bytes) -> bytes:
    """Return a bundle of these modules."""
    named = [wire.Module(f"m{at}.py", content(data).digest) for at, data in enumerate(modules)]
    return msgspec.msgpack.encode(wire.Manifest(named))


class BlobHistory:
    """Jobs with what each refers to: after every step, all of that has to be stored.

    If a blob is missing, the client sends all of them and submits again. A client that has `sent`
    blobs before only names them.
    """

    def __init__(self, api: ApiHarness) -> None:
        self.api = api
        self.needed: dict[int, set[str]] = {}

    async def put(self, *blobs: bytes) -> None:
        """Send blobs, as far as the server lacks them."""
        named = {content(data).digest: data for data in blobs}
        request = wire.MissingBlobsRequest(digests=list(named))
        uses = self.api.use_cases.storage.blobs
        for upload in (await uses.missing(ACCOUNT, request)).uploads:
            await uses.put(ACCOUNT, upload.digest, named[upload.digest])

    async def submit(self, function: bytes, *modules: bytes, sent: bool = False) -> int:
        """Submit a job; return its jid."""
        blobs = [function, bundle(*modules), *modules]
        request = replace(
            self.api.request(1),
            submit_id=uuid.uuid4().hex,
            function=content(function),
            bundle=content(blobs[1]).digest,
        )
        if not sent:
            await self.put(*blobs)
        try:
            jids = await self.api.send(request)
        except BlobMissing:
            await self.put(*blobs)
            jids = await self.api.send(request)
        self.needed[jids[0]] = {content(data).digest for data in blobs}
        return jids[0]

    async def run(self, *, result: bytes = b"", needs: bytes = b"", large: bool = False) -> None:
        """Run the jobs that wait; their result may need the modules of a bundle, or be a blob."""
        slot = await self.api.slot()
        while leases := (await self.api.work(slot)).leases:
            for lease in leases:
                await self._report(slot, lease, result, needs, large=large)

    async def _report(
        self, slot: SlotSession, lease: wire.Lease, result: bytes, needs: bytes, *, large: bool
    ) -> None:
        trailer = [content(needs).digest] if needs else []
        parcel = pack.seal(wire.with_bundles(result, trailer))
        if large:
            await self.put(parcel)
        jobs = [
            wire.JobReport(
                index=job.index,
                attempt=job.attempt,
                state=State.DONE,
                cause=0,
                started_at=self.api.now,
                finished_at=self.api.now,
                payload=b"" if large else parcel,
                blob=content(parcel) if large else None,
            )
            for job in lease.jobs
        ]
        await self.api.work(slot, reports=[wire.Report(lease.batch, ENVELOPE, jobs)], lease=False)
        header = await self.api.server.context.commits.view.get(f"batches/{ACCOUNT}/{lease.batch}")
        named = {*trailer, *([content(parcel).digest] if large else [])}
        if needs:
            manifest = msgspec.msgpack.decode(needs, type=wire.Manifest)
            named |= {module.digest for module in manifest.modules}
        self.needed[header.first] |= named

    async def delete(self, jid: int) -> None:
        """Delete a finished job."""
        await self.api.use_cases.jobs.delete.delete(ACCOUNT, [(jid, jid)])
        del self.needed[jid]

    async def sweep(self, after_s: float = DAY_S) -> int:
        """Sweep the account; return how many blobs were deleted."""
        sweep = self.api.use_cases.storage.sweep
        return await sweep.sweep(ACCOUNT, after_s, lambda: True)

    async def stored(self) -> set[str]:
        """Return the digests of the blobs of the account."""
        blobs = DirectoryBlobs(self.api.root / "blobs")
        return {name.partition("/")[2] async for name in blobs.names(f"{ACCOUNT}/")}

    async def check(self) -> None:
        """Check that everything is stored that a job refers to."""
        stored = await self.stored()
        for jid, digests in self.needed.items():
            assert digests <= stored, f"job {jid} lost {digests - stored}"
