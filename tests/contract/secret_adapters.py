"""Where secret tests keep secrets: a new adapter joins by a class like `File`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
from picloud_driver.secrets import SecretPort
from picloud_driver.secrets.file import FileSecrets

VALUE = b"canary-4f1b"


class Site(Protocol):
    """Where the secrets of one test lie; it can be sent to another process."""

    def open(self) -> SecretPort:
        """A port as a process makes it that has just begun."""

    def break_off(self) -> None:
        """Make the store unable to answer."""


class File:
    """The adapter `file`."""

    def __init__(self, scratch: Path) -> None:
        self.root = scratch / "secrets"

    def open(self) -> SecretPort:
        """A port on the directory."""
        return FileSecrets(self.root)

    def break_off(self) -> None:
        """Take the directory away, as when a disk is unmounted."""
        self.root.rename(self.root.with_name("unmounted"))


@pytest.fixture(params=[File])
def secret_site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """An empty store of each kind."""
    made: Site = request.param(tmp_path)
    return made


@pytest.fixture
async def secrets(secret_site: Site) -> AsyncIterator[SecretPort]:
    """A port on an empty store of each kind."""
    opened = secret_site.open()
    yield opened
    await opened.close()
