"""The HashiCorp stack whose slots are containers, over a dockerd of the tests' own."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from picloud_driver.stack.hashicorp import Stack as Servers

from tests.e2e.stack_hashicorp import HashiCorpStack, _environment
from tests.servers import image
from tests.servers.run_dockerd import Dockerd, dockerd

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_driver.stack.addresses import Addresses

    from tests.e2e.stacks import Options


class DockerStack(HashiCorpStack):
    """The same stack with isolated slots."""

    name = "hashicorp, docker"
    second_key = ""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._open = ExitStack()
        self.daemon: Dockerd = self._open.enter_context(dockerd())
        image.load(self.daemon)
        environment = {**_environment(), "DOCKER_HOST": self.daemon.host}
        self._servers = Servers(self.data, environment, slots=2)

    def start(self, options: Options | None = None) -> None:
        super().start(options)
        assert self._servers.open_as == "", self._servers.open_as
        assert self._servers.leaks == "", self._servers.leaks
        self._servers.close(self.url)

    def addresses(self) -> Addresses:
        """Where its servers answer."""
        assert self._addresses is not None
        return self._addresses

    def own_address(self) -> str:
        """An address of this machine in the network it is in; its loopback one without any."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # nothing is sent
            except OSError:
                return "127.0.0.1"
            return str(probe.getsockname()[0])

    def stop(self) -> None:
        with self._open:
            super().stop()
