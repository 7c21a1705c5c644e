"""Volumes: directories stored on the server, which jobs can mount."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_model.errors import (
    RequestConflict,
    RequestRefused,
    VolumeChanged,
)
from picloud_model.wire.volume import (
    MAX_SNAPSHOTS,
    MAX_VOLUMES_OF_ACCOUNT,
    StoredSnapshot,
    Volume,
    VolumesListed,
)

from picloud_api.engine.jobs.in_use import refuse_in_use
from picloud_api.usecases.storage.mount_path import checked_mount_path
from picloud_api.usecases.storage.volume_record import (
    VolumeRecord,
    existing,
    volume_key,
)

if TYPE_CHECKING:
    from picloud_model.wire import volume as wire
    from picloud_model.wire.snapshot import ChunkRef

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.storage.bucket_quota import BucketQuota
    from picloud_api.usecases.storage.snapshot import Snapshots


class Volumes:
    """Creates, lists, changes and deletes the volumes of accounts.

    Args:
        context: Where volumes are recorded.
        snapshots: Their files.
        quota: What an account may store.
    """

    def __init__(self, context: Context, snapshots: Snapshots, quota: BucketQuota) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._snapshots = snapshots
        self._quota = quota

    async def create(self, account: str, request: wire.CreateVolumeRequest) -> Volume:
        """Create a volume, or return the same one that exists.

        Raises:
            RequestRefused: When the path is not allowed, the name is taken, or there are too many.
        """
        path = checked_mount_path(request.mount_path)
        key = volume_key(account, request.name)
        if len(await self._commits.view.scan(volume_key(account))) >= MAX_VOLUMES_OF_ACCOUNT:
            message = f"An account has up to {MAX_VOLUMES_OF_ACCOUNT:,} volumes; delete one first."
            raise RequestConflict(message)
        made = VolumeRecord(path, request.desc, self._clock())

        async def plan(draft: Draft) -> VolumeRecord:
            before: VolumeRecord | None = await draft.fresh(key)
            if before is None:
                draft.put(key, made)
                return made
            if (before.mount_path, before.desc) != (path, request.desc):
                message = f"There is already a volume {request.name!r} in your account."
                raise RequestConflict(message, field="name")
            return before

        return _volume(request.name, await self._commits.run(plan))

    async def get(self, account: str, name: str) -> Volume:
        """Return what is known of a volume.

        Raises:
            VolumeNotFound: When there is no such volume.
        """
        view = self._commits.view
        record: VolumeRecord | None = await view.fresh(volume_key(account, name))
        return _volume(name, await existing(view, account, record, name))

    async def list(self, account: str) -> VolumesListed:
        """Return the volumes of an account by name."""
        prefix = volume_key(account)
        found = await self._commits.view.scan(prefix)
        volumes = [_volume(key.removeprefix(prefix), found[key]) for key in sorted(found)]
        return VolumesListed(volumes=volumes)

    async def delete(self, account: str, name: str) -> None:
        """Delete a volume.

        Raises:
            VolumeNotFound: When there is no such volume.
            RequestConflict: When jobs that mount it have not ended; it names them.
        """
        key = volume_key(account, name)
        await refuse_in_use(
            self._commits.view,
            account,
            f"The volume {name!r}",
            lambda header: name in header.options.vols,
        )

        async def plan(draft: Draft) -> None:
            await existing(self._commits.view, account, await draft.fresh(key), name)
            draft.delete(key)

        await self._commits.run(plan)

    async def grow(self, account: str, request: wire.GrowVolumeRequest) -> Volume:
        """Return a volume, if so many more bytes fit into it.

        Raises:
            VolumeNotFound: When there is no such volume.
            BucketFull: When the account would store too much.
        """
        volume = await self.get(account, request.name)
        await self._quota.admit_volume(account, request.size)
        return volume

    async def commit(self, account: str, request: wire.CommitVolumeRequest) -> Volume:
        """Make a snapshot the latest of a volume.

        Raises:
            VolumeNotFound: When there is no such volume.
            VolumeChanged: When another snapshot was made the latest in the meantime.
            BucketFull: When the account would store too much.
            BlobMissing: When a chunk of the snapshot is not stored.
        """
        key = volume_key(account, request.name)
        view = self._commits.view
        record = await existing(view, account, await view.fresh(key), request.name)
        if _is_latest(record, request.snapshot):
            return _volume(request.name, record)
        size, entries = await self._measured(account, record, request.snapshot)
        if size > record.size:
            await self._quota.admit_volume(account, size - record.size)
        now = self._clock()

        async def plan(draft: Draft) -> VolumeRecord:
            record = await existing(view, account, await draft.fresh(key), request.name)
            if _is_latest(record, request.snapshot):
                return record
            if record.number != request.base:
                raise VolumeChanged
            latest = StoredSnapshot(
                number=record.number + 1,
                digest=request.snapshot,
                size=size,
                entries=entries,
                made_at=now,
            )
            history = (*record.history, latest)[-MAX_SNAPSHOTS:]
            changed = msgspec.structs.replace(record, number=latest.number, history=history)
            draft.put(key, changed)
            return changed

        return _volume(request.name, await self._commits.run(plan))

    async def _measured(self, account: str, record: VolumeRecord, digest: str) -> tuple[int, int]:
        """Return the bytes and the number of entries of a snapshot; reads what is new in it.

        What clients state about sizes is not trusted: the chunks are read and compared.
        """
        snapshot = await self._snapshots.read(account, digest)
        known: set[ChunkRef] = set()
        if record.history:
            known = set((await self._snapshots.read(account, record.history[-1].digest)).chunks)
        # What a chunk has in common with the one that it replaces is not looked for again.
        stored = await self._snapshots.parts(account, known.difference(snapshot.chunks))
        before = ""
        for ref in snapshot.chunks:
            if ref.first <= before:
                raise RequestRefused("The chunks of the snapshot are not in order.")
            before = ref.first
        new = [ref for ref in snapshot.chunks if ref not in known]
        await self._snapshots.check(account, new, stored)
        return snapshot.size, snapshot.entries


def _is_latest(record: VolumeRecord, digest: str) -> bool:
    return bool(record.history) and record.history[-1].digest == digest


def _volume(name: str, record: VolumeRecord) -> Volume:
    latest = record.history[-1] if record.history else None
    return Volume(
        name=name,
        mount_path=record.mount_path,
        desc=record.desc,
        created_at=record.created_at,
        modified_at=latest.made_at if latest else record.created_at,
        number=record.number,
        snapshot=latest.digest if latest else "",
        size=latest.size if latest else 0,
        entries=latest.entries if latest else 0,
    )
