"""Lists of things of which there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.wire.bucket import ObjectsListed
from picloud_model.wire.cron import CronsListed
from picloud_model.wire.environment import EnvironmentsListed
from picloud_model.wire.queue import QueuesListed
from picloud_model.wire.rest import EndpointsListed
from picloud_model.wire.volume import VolumesListed

from tests.current_client import current_client
from tests.unit.cli.command_runner import invoke
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Empty(FakeServer):
    """A server on which an account has nothing."""

    def _bucket_list(self, _: bytes) -> ObjectsListed:
        return ObjectsListed(objects=[])

    def _crons_list(self, _: bytes) -> CronsListed:
        return CronsListed(crons=[])

    def _environments_list(self, _: bytes) -> EnvironmentsListed:
        return EnvironmentsListed(environments=[])

    def _queues_list(self, _: bytes) -> QueuesListed:
        return QueuesListed(names=[])

    def _rest_list(self, _: bytes) -> EndpointsListed:
        return EndpointsListed(endpoints=[])

    def _volumes_list(self, _: bytes) -> VolumesListed:
        return VolumesListed(volumes=[])


@pytest.fixture(autouse=True)
def _nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    with current_client(client_for(_Empty())):
        yield


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("jobs", "No jobs."),
        ("top", "No unfinished jobs."),
        ("env list", "No environments."),
        ("env list --public", "No public environments."),
        ("cron list", "No cron jobs."),
        ("rest list", "No published functions."),
        ("volume list", "No volumes."),
        ("queue list", "No queues."),
        ("bucket list", "No keys."),
        ("bucket iterlist", "No keys."),
        ("files list", "No files."),
        ("bucket list --prefix a", "No keys begin with a."),
    ],
)
def test_standard_error_says_that_there_are_none(command: str, words: str) -> None:
    """Into a pipe go the names of the columns alone, as they do before rows."""
    done = invoke(*command.split())

    assert done.stderr == f"{words}\n"
    assert done.stdout.count("\n") == (0 if command.startswith(("queue", "bucket", "files")) else 1)
