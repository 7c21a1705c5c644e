"""A real Nomad to read jobspecs."""

from collections.abc import Iterator

import pytest
from picloud_driver.nomad.gateway import NomadAccess, NomadGateway

from tests.servers import running


@pytest.fixture(scope="session")
def nomad_server() -> Iterator[running.Nomad]:
    """A Nomad that runs nothing."""
    with running.nomad() as nomad:
        yield nomad


@pytest.fixture(scope="session")
def gateway(nomad_server: running.Nomad) -> Iterator[NomadGateway]:
    """A gateway to it."""
    opened = NomadGateway(NomadAccess(nomad_server.address), connections=1)
    yield opened
    opened.close()
