"""The servers below PiCloud's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from picloud.stack.data_dir import StackName
from picloud.stack.servers import StackServers, stack_errors
from picloud_driver.stack.faults import StackFault
from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


def test_the_embedded_stack_has_none(tmp_path: Path) -> None:
    """Nothing is started or restarted; only the slots are described."""
    servers = StackServers(StackName.EMBEDDED, tmp_path, 4)

    assert servers.start() is None
    assert servers.summary() == ["  slots    4"]
    servers.restrict_slots("http://127.0.0.1:1")
    servers.restart_ended()


def test_a_running_server_keeps_its_slots(tmp_path: Path) -> None:
    """A request for another number is answered with the reason."""
    servers = StackServers(StackName.EMBEDDED, tmp_path, 4, running_slots=2)

    assert servers.summary() == [
        "  slots    2, not 4: a running server keeps its slots until it is stopped"
    ]


def test_errors_of_a_stack_are_errors_of_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the end of the server's log on standard error."""
    with pytest.raises(CloudException, match="did not start"), stack_errors():
        raise StackFault("nomad did not start", tail="last line")
    with pytest.raises(CloudException, match="away"), stack_errors():
        raise Unavailable("away")

    assert capsys.readouterr().err == "last line\n"
