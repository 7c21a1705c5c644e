"""Where secret tests keep secrets: a new adapter joins by a class like `File`."""

import dataclasses
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from picloud_driver.secret import SecretPort
from picloud_driver.secret.file import FileSecrets
from picloud_driver.secret.vault import VaultSecrets
from picloud_driver.vault.bootstrap import bootstrap
from picloud_driver.vault.client import VaultAccess, ssh_mount, vault_client

from tests.servers import running

VALUE = b"canary-4f1b"


class Site(Protocol):
    """The place of the secrets of one test; it can be sent to another process."""

    def open(self) -> SecretPort:
        """A port as a process makes it that has just begun."""

    def make_unavailable(self) -> None:
        """Make the store unable to answer."""


class File:
    """The adapter `file`."""

    def __init__(self, scratch: Path) -> None:
        self.root = scratch / "secrets"

    def open(self) -> SecretPort:
        """A port on the directory."""
        return FileSecrets(self.root)

    def make_unavailable(self) -> None:
        """Take the directory away, as when a disk is unmounted."""
        self.root.rename(self.root.with_name("unmounted"))


@dataclasses.dataclass(frozen=True)
class Mount:
    """The adapter `vault`, in a mount of its own and with the token that bootstrap makes."""

    access: VaultAccess
    root_token: str = dataclasses.field(repr=False)

    def open(self) -> SecretPort:
        """A port with connections of its own."""
        return VaultSecrets(self.access)

    def make_unavailable(self) -> None:
        """Remove the mounts, as their owner may."""
        client = vault_client(dataclasses.replace(self.access, token=self.root_token), 1)
        client.sys.disable_secrets_engine(self.access.mount)
        client.sys.disable_secrets_engine(ssh_mount(self.access.mount))
        client.adapter.close()


@pytest.fixture(scope="session")
def vault_server() -> Iterator[running.Vault]:
    """One Vault for all tests; each has a mount of its own."""
    with running.vault() as vault:
        yield vault


@pytest.fixture
def file_site(tmp_path: Path) -> Site:
    """A directory that is not there yet."""
    return File(tmp_path)


@pytest.fixture
def mount_site(vault_server: running.Vault) -> Mount:
    """A mount without secrets."""
    mount = f"test-{uuid.uuid4().hex}"
    root = VaultAccess(vault_server.address, vault_server.root_token, mount)
    return Mount(dataclasses.replace(root, token=bootstrap(root)), vault_server.root_token)


@pytest.fixture(params=["file", "mount"])
def secret_site(request: pytest.FixtureRequest) -> Site:
    """An empty store of each kind."""
    site: Site = request.getfixturevalue(f"{request.param}_site")
    return site


@pytest.fixture
async def secrets(secret_site: Site) -> AsyncIterator[SecretPort]:
    """A port on an empty store of each kind."""
    opened = secret_site.open()
    yield opened
    await opened.close()
