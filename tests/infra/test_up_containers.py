"""`picloud up --stack hashicorp --detach` where docker runs: what it leaves works in containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e import processes
from tests.e2e.command_line import PICLOUD
from tests.e2e.debian_package import debian_package
from tests.e2e.stack_docker import daemon
from tests.e2e.user_home import UserHome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_JOB = """
cloud.bucket.put("/etc/hostname", "name")
def look(package):
    return open("/bucket/name").read(), os.path.exists(package), os.getuid() > 20000
import os
read = open("/etc/hostname").read()
note = "/usr/share/picloud-gadget/note"
jids = [cloud.call(look, note), cloud.call(look, note, _env="hand")]
print(cloud.result(jids, 120) == [(read, False, True), (read, True, True)])
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[UserHome]:
    """A running stack whose slots are containers; nothing of it is left behind."""
    running = UserHome(tmp_path, {"DOCKER_HOST": daemon().host})
    try:
        printed = running.up()
        assert "isolated, and limited" in " ".join(printed.split())
        yield running
        running.down()
        assert not processes.of_stack(running.data), processes.described(
            processes.of_stack(running.data)
        )
    finally:
        running.clear()


def test_a_detached_stack_mounts_buckets_and_starts_setup_machines(
    home: UserHome, tmp_path: Path
) -> None:
    """The command has ended: `/bucket` is there, and `apt-get` makes an environment by hand.

    One machine needs no registry, and the doctor finds no problem.
    """
    package = debian_package(tmp_path)
    home.run(PICLOUD, "env", "create", "hand", "base/bookworm")
    home.run(PICLOUD, "env", "rsync", str(package), "hand:/tmp/gadget.deb")
    home.run(PICLOUD, "env", "ssh", "hand", "apt-get install --yes /tmp/gadget.deb")
    saved = home.run(PICLOUD, "env", "save-shutdown", "hand")

    assert "+ picloud-gadget (Debian) 1.0" in saved
    assert home.python(_JOB) == "True"
    doctor = home.run(PICLOUD, "admin", "doctor", "--data", str(home.data))
    assert "ok       images        in the Docker of one machine" in doctor
