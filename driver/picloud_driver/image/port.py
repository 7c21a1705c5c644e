"""The image port: builds what environments consist of, and finds it by its digest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire import TunnelOrder
    from picloud_model.wire.environment import EnvironmentBase, Recipe


MACHINES_ARE_JOBS: Final = "Setup machines of this server are jobs; picloud ssh JID reaches them."


class ImageState(Enum):
    """What there is of an image."""

    ABSENT = "absent"
    """Nothing: its build was never begun, or it was removed."""
    BUILDING = "building"
    """It is being built, by this process or another one."""
    FAILED = "failed"
    """Its latest build failed; the next one begins from nothing."""
    READY = "ready"
    """It is complete, and never changes."""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an image.

    `problem` says why its build failed. `packages` are the Python packages in it, as `name==1.0`,
    `apt` the Debian packages that its base lacks, as `name=1.0`, and `size` is in bytes. Other
    machines pull it by its `reference`; "" if none do.
    """

    state: ImageState
    problem: str = ""
    packages: list[str] = []
    apt: list[str] = []
    size: int = 0
    reference: str = ""


class ImagePort(ABC):
    """What a store of images promises. Each sentence here is a contract test.

    The name of an image is the digest of its recipe, `sha256:<64 hex digits>`. It is ready as a
    whole or not at all, however its build ends. Two builds of one image at the same time, in any
    processes, are one build. A build gets no credential of the platform, and no text of a recipe
    reaches a shell. Every method raises `Unavailable` when images cannot be reached.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for messages."""

    machines_are_jobs: bool = True
    """Whether a setup machine is a job in a copy of an image; else it is a container."""

    default_base: EnvironmentBase
    """The base of slots without an image; finding the others may take a second."""

    @abstractmethod
    async def bases(self) -> Sequence[EnvironmentBase]:
        """Return what images can be built on, the default first."""

    @abstractmethod
    def refusal(self, recipe: Recipe) -> str:
        """Return why a recipe can never be built here, in a sentence; "" if it may be."""

    @abstractmethod
    async def start(self, image: str, recipe: Recipe, base: str) -> None:
        """Begin to build an image; nothing happens if it is ready or being built.

        Args:
            image: Its name.
            recipe: What to build.
            base: The name of one of the bases.

        Raises:
            RequestRefused: When there is no such base.
        """

    @abstractmethod
    async def find(self, image: str) -> Image:
        """Return what is known of an image."""

    @abstractmethod
    async def log(self, image: str, offset: int) -> bytes:
        """Return whole lines of the log of the latest build from a byte on, at most 64 KiB."""

    @abstractmethod
    async def open(self, machine: str, image: str) -> None:
        """Begin to make a setup machine: a copy of an image that may change.

        It is found, logged, listed and removed as an image is. Nothing happens if it is there. A
        container runs once it is ready, and one that has stopped starts again.

        Args:
            machine: Its name, a digest as well.
            image: The image, which is ready and stays as it is.

        Raises:
            RequestRefused: When there are no setup machines here.
        """

    @abstractmethod
    async def snapshot(self, machine: str) -> str:
        """Begin to make an image of what a setup machine has become, and return its name.

        It is the same image as long as nothing changes there; at first the one that was copied.

        Raises:
            RequestConflict: When a command runs in the machine; it names the command.
        """

    @abstractmethod
    async def serve_shell(self, machine: str, order: TunnelOrder) -> None:
        """Begin to serve a client of a setup machine in a container, at the stream of an order.

        Raises:
            RequestConflict: When machines are jobs here.
            Unavailable: When the machine does not run.
        """

    @abstractmethod
    async def names(self) -> Sequence[str]:
        """Return the names of all images that are ready."""

    @abstractmethod
    async def remove(self, image: str) -> None:
        """Remove an image with its log; a missing one is not an error."""

    @abstractmethod
    async def close(self) -> None:
        """End the builds of this process, whose images then count as failed."""
