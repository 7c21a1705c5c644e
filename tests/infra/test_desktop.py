"""The environment of desktops, built from Debian's packages, which come from the internet."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, desktop, tunnel, volume

from tests.current_client import current_client
from tests.e2e import command_line
from tests.e2e.stack_docker import DockerStack
from tests.e2e.vnc_client import Shown, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_S = 120.0
BUILD_S = 600.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[tuple[DockerStack, str]]:
    """A stack with isolated slots, and the key of a second account."""
    started = DockerStack(tmp_path)
    key = started.other_key()
    started.start()
    yield started, key
    started.stop()


@pytest.mark.timeout(1200)
def test_a_desktop_runs_in_the_environment_of_the_operator(stack: tuple[DockerStack, str]) -> None:
    """`picloud admin desktop` builds it; desktops of all accounts use it, in containers."""
    started, key = stack
    built = command_line.run(
        started.environment(), "admin", "desktop", "--plain", timeout_s=BUILD_S
    )
    assert built.code == 0, built.err
    assert built.out.splitlines()[-1] == "/picloud/desktop"
    with closing(started.client(key)) as other, current_client(other):
        with pytest.raises(CloudException, match="administrator"):
            other.keys.accounts()
        jid = int(desktop.start("contained", geometry="640x480", run="xterm"))
        found = desktop.vnc("contained", timeout=WAIT_S)
        assert other.info([jid], ["env"])[jid]["env"] == "/picloud/desktop"
        with tunnel.forward(found["jid"], found["port"]) as forwarded:
            assert log_in(forwarded.port, found["password"]) == Shown(640, 480, 24, "contained")
        desktop.stop("contained")
        assert volume.ls("desktop-contained:.config/openbox")
        desktop.delete("contained")
