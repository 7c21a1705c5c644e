"""The records of volumes, and checks that need nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.errors import RequestRefused, VolumeNotFound, missing_name
from picloud_model.wire.volume import StoredSnapshot, volume_variable

from picloud_api.store.records import NamedRecord
from picloud_api.usecases.storage.mount_path import overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_api.engine.process.context import Context
    from picloud_api.store.view import View

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class VolumeRecord(NamedRecord, frozen=True):
    """A volume, under the key `volumes/<account>/<name>`; its history ends with the latest."""

    prefix: ClassVar[str] = "volumes/"

    mount_path: str
    desc: str
    created_at: float
    number: int = 0
    history: tuple[StoredSnapshot, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of the files in its latest snapshot."""
        return self.history[-1].size if self.history else 0


class VolumeSizes:
    """Adds up the bytes of the volumes of accounts."""

    def __init__(self, context: Context) -> None:
        self._view = context.commits.view

    async def of(self, account: str) -> int:
        """Return how many bytes the files of all volumes of an account have."""
        found = await self._view.scan(volume_key(account))
        return sum(record.size for record in found.values())


async def check_volumes(view: View, account: str, names: Sequence[str]) -> None:
    """Refuse volumes that a job cannot have together.

    Raises:
        RequestRefused: When the account has no such volume, or two have the same mount path or
            the same environment variable.
    """
    paths: dict[str, str] = {}
    variables: dict[str, str] = {}
    for name in dict.fromkeys(names):
        record: VolumeRecord | None = None
        if _NAME.fullmatch(name):
            record = await view.fresh(volume_key(account, name))
        if record is None:
            message = await _missing(view, account, name, ": create it first.")
            raise RequestRefused(message, field="options.vols")
        for path, other in paths.items():
            if overlap(path, record.mount_path):
                message = (
                    f"The volumes {other!r} and {name!r} cannot be in one job: their mount paths "
                    f"are {path} and {record.mount_path}."
                )
                raise RequestRefused(message, field="options.vols")
        paths[record.mount_path] = name
        other = variables.setdefault(volume_variable(name), name)
        if other != name:
            message = (
                f"The volumes {other!r} and {name!r} cannot be in one job: both would set the "
                f"variable {volume_variable(name)}."
            )
            raise RequestRefused(message, field="options.vols")


def volume_key(account: str, name: str = "") -> str:
    """Return the key of a volume; without a name, the prefix of all volumes of an account."""
    return f"{VolumeRecord.prefix}{account}/{name}"


async def existing(
    view: View, account: str, record: VolumeRecord | None, name: str
) -> VolumeRecord:
    """Return the record of a volume that was looked for.

    Raises:
        VolumeNotFound: When there is none.
    """
    if record is None:
        raise VolumeNotFound(await _missing(view, account, name), field="name")
    return record


async def _missing(view: View, account: str, name: str, cure: str = ".") -> str:
    return missing_name("volume", name, await view.names(volume_key(account)), cure)
