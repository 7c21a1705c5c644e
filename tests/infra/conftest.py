"""What the tests of infrastructure share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from moto.server import ThreadedMotoServer

from tests.infra import cluster as machines
from tests.infra import node_image
from tests.infra.terraform import Terraform
from tests.servers.run_dockerd import dockerd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.cluster import Cluster
    from tests.servers.run_dockerd import Dockerd


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform on a copy of its own."""
    return Terraform(tmp_path_factory.mktemp("infra"))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of an empty server that stands in for AWS."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def image_daemon() -> Iterator[Dockerd]:
    """A dockerd that has built the node image."""
    with dockerd() as daemon:
        node_image.build(daemon)
        yield daemon


@pytest.fixture(scope="session")
def cluster(image_daemon: Dockerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three servers, two clients and an API machine that have booted; each test leaves them so."""
    with machines.cluster(image_daemon, tmp_path_factory.mktemp("cluster")) as made:
        yield made
