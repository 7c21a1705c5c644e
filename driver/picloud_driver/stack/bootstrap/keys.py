"""The tokens of a cluster, in a directory of its administrator."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from picloud_driver import disk
from picloud_driver.stack import records
from picloud_driver.stack.bootstrap.change import MANAGED_BY

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "keys.json"
ENVIRONMENT: Final = "environment"
"""The file that a shell reads before it starts the API."""


class ClusterKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The id of a cluster, the first management tokens that bootstrap has made, and the API's own.

    Besides there are the gossip keys that have replaced those of the servers' configuration, and
    the API's key of S3. A token or key is "" if there is none; none is in a `repr`.
    """

    cluster: str
    consul_management: str = ""
    nomad_management: str = ""
    consul: str = ""
    nomad: str = ""
    vault: str = ""
    consul_gossip: str = ""
    nomad_gossip: str = ""
    s3_access_key: str = ""
    s3_secret_key: str = ""

    def __repr__(self) -> str:
        return f"ClusterKeys({self.cluster!r})"


class KeyFile:
    """The keys of a cluster; each is stored before a server learns it, or as soon as it is known.

    Args:
        directory: Holds them; it is made with the first key.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        lost = "restore it from a copy, or remove it and use --adopt"
        stored = records.read(self.path, ClusterKeys, lost)
        self.now = stored or ClusterKeys(cluster=secrets.token_hex(8))

    @property
    def mark(self) -> str:
        """The description of what belongs to this cluster."""
        return f"{MANAGED_BY}{self.now.cluster}"

    def store(self, **changed: str) -> None:
        """Replace some of the keys, on disk, too.

        Raises:
            StackFault: When they cannot be written.
        """
        self.now = msgspec.structs.replace(self.now, **changed)
        records.write(self.path, self.now)

    def write_environment(self, lines: str) -> Path:
        """Write the variables of the API; return the file.

        Raises:
            StackFault: When it cannot be written.
        """
        return self._write(ENVIRONMENT, lines)

    def write_gossip_keys(self) -> list[Path]:
        """Write each gossip key to a file, named as machines of the node image name it.

        Returns:
            The files.

        Raises:
            StackFault: When one cannot be written.
        """
        found = {"consul-gossip": self.now.consul_gossip, "nomad-gossip": self.now.nomad_gossip}
        return [self._write(name, f"{key}\n") for name, key in found.items() if key]

    def _write(self, name: str, text: str) -> Path:
        file = self.path.with_name(name)
        with records.disk_faults(file):
            disk.private_directory(file.parent)
            disk.replace(file, text.encode(), sync=True)
        return file
