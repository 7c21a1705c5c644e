"""Volumes: requests and answers about directories that an account keeps for its jobs.

Files travel as blobs; `picloud_model.wire.snapshot` says how a volume is made of these.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Digest, Request

MAX_VOLUMES_OF_ACCOUNT: Final = 1000
"""Most volumes of an account."""
MAX_SNAPSHOTS: Final = 10
"""Number of snapshots of a volume that are kept, the latest included."""

VolumeName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)", max_length=64)]
MountPath = Annotated[str, Meta(min_length=1, max_length=1000)]
VolumeDescription = Annotated[str, Meta(max_length=1000)]


class CreateVolumeRequest(Request, frozen=True):
    """Create a volume: `POST /v1/volumes`. A repetition with the same values changes nothing."""

    name: VolumeName
    mount_path: MountPath
    desc: VolumeDescription = ""


class VolumeRequest(Request, frozen=True):
    """Return what is known of a volume: `POST /v1/volumes/get`."""

    name: VolumeName


class DeleteVolumeRequest(Request, frozen=True):
    """Delete a volume with all its files: `POST /v1/volumes/delete`."""

    name: VolumeName


class ListVolumesRequest(Request, frozen=True):
    """List the volumes of the account: `POST /v1/volumes/list`."""


class CommitVolumeRequest(Request, frozen=True):
    """Make a snapshot the latest of a volume: `POST /v1/volumes/commit`.

    It was made from snapshot number `base`; if another one is the latest by now, the request is
    refused, and has to be made from that.
    """

    name: VolumeName
    base: Annotated[int, Meta(ge=0)]
    snapshot: Digest


class GrowVolumeRequest(Request, frozen=True):
    """Ask whether so many more bytes fit into a volume: `POST /v1/volumes/grow`."""

    name: VolumeName
    size: Annotated[int, Meta(ge=0)]


class Volume(Answer, frozen=True):
    """A volume: its latest snapshot, the number of this, and what its files add up to.

    An empty `snapshot` means that nothing was stored yet.
    """

    name: str
    mount_path: str
    desc: str = ""
    created_at: float = 0.0
    modified_at: float = 0.0
    number: int = 0
    snapshot: str = ""
    size: int = 0
    entries: int = 0


class VolumesListed(Answer, frozen=True):
    """Volumes, by name."""

    volumes: list[Volume]


def volume_variable(name: str) -> str:
    """Return the environment variable that tells a job where a volume is.

    >>> volume_variable("my-data")
    'PICLOUD_VOLUME_MY_DATA'
    """
    return f"PICLOUD_VOLUME_{name.upper().replace('-', '_')}"


class StoredSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot in the history of a volume."""

    number: int
    digest: str
    size: int
    entries: int
    made_at: float
