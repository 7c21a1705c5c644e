"""Environments on a machine that did not build them: a registry, and a second Nomad client."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from picloud_driver.stack.doctor import servers as doctor

from tests.e2e.command_line import PICLOUD
from tests.e2e.debian_package import debian_package
from tests.e2e.stack_docker import daemon
from tests.e2e.user_home import UserHome
from tests.infra.second_machine import api_port, failed_pulls, first_takes_slots, second_machine
from tests.polling import until
from tests.servers.run_registry import registry as run_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from picloud_driver.stack.doctor.finding import Finding

    from tests.servers.run_dockerd import Dockerd
    from tests.servers.run_registry import Registry

pytestmark = pytest.mark.timeout(900)
_NOTE = "print(cloud.result(cloud.call(lambda: open('{path}').read(), _env='{name}'), 120))"
_LOOK = """
import socket
cloud.bucket.put("/etc/hostname", "name")
def look(host, ports):
    def connects(port):
        with socket.socket() as probe:
            probe.settimeout(3)
            return probe.connect_ex((host, port)) == 0
    return len(open("/bucket/name").read()) > 1, [connects(port) for port in ports]
print(cloud.result(cloud.call(look, {host!r}, {ports}, _env="later"), 120))
"""
_VOLUME = """
from pathlib import Path
Path("a.txt").write_text("one")
cloud.volume.create("data", "/data/deep")
cloud.volume.sync("a.txt", "data:")
def work(name):
    folder = Path("/data/deep")
    seen = (folder / "a.txt").read_text()
    (folder / "b.txt").write_text(f"by {name}")
    return cloud.volume.path("data"), folder.is_mount(), seen
def look():
    return sorted(each.name for each in Path("/data/deep").iterdir())
first = cloud.call(work, "first", _env="noted", _vol="data")
found = [cloud.result(first, 120), cloud.result(cloud.call(look, _vol="data"), 120)]
print(found + [cloud.volume.ls("data:")])
"""
_BY_HAND = "/usr/share/picloud-gadget/note"
_BY_RECIPE = "/opt/environment/share/note"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A registry over S3."""
    with run_registry() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[UserHome]:
    """A running stack whose images go to the registry."""
    names = {
        "DOCKER_HOST": daemon().host,
        "PICLOUD_SLOT_REGISTRY": registry.pull,
        "PICLOUD_SLOT_REGISTRY_PUSH": registry.push,
        "PICLOUD_SLOT_REGISTRY_LOGIN": str(registry.server_login),
    }
    running = UserHome(tmp_path_factory.mktemp("home"), names)
    try:
        printed = running.up()
        assert "isolated, and limited" in " ".join(printed.split())
        yield running
        running.down()
    finally:
        running.clear()


@pytest.fixture(scope="module")
def second(home: UserHome, registry: Registry) -> Iterator[Dockerd]:
    """The dockerd of a second machine, which runs all slots."""
    with second_machine(home, registry) as daemon:
        yield daemon


def build(home: UserHome, name: str, note: str) -> None:
    """Build an environment with a note on the first machine."""
    recipe = home.root / f"{name}.toml"
    recipe.write_text(f'[texts]\n"share/note" = "{note}"\n')
    home.run(PICLOUD, "env", "build", name, "-f", str(recipe))


def images(second: Dockerd, registry: Registry) -> list[str]:
    """Return the images that a machine has pulled, by their digests."""
    listed = second.docker("image", "ls", "--digests", "--format={{.Repository}}@{{.Digest}}")
    return [each for each in listed.stdout.split() if each.startswith(registry.pull)]


def end_slots(second: Dockerd) -> None:
    """End the slots of a machine, so that the next job gets another one."""
    for container in second.docker("ps", "--quiet").stdout.split():
        second.docker("kill", container)


def test_a_second_machine_runs_what_was_saved_on_the_first(
    home: UserHome, second: Dockerd, registry: Registry, tmp_path: Path
) -> None:
    """It pulls by digest, with its own password; without the registry, what it has goes on.

    The next version of an environment that ran there is there before a slot needs it. Its slots
    have buckets, and reach the API, but no other port.
    """
    package = debian_package(tmp_path)
    home.run(PICLOUD, "env", "create", "hand", "base/bookworm")
    home.run(PICLOUD, "env", "rsync", str(package), "hand:/tmp/gadget.deb")
    home.run(PICLOUD, "env", "ssh", "hand", "dpkg --install /tmp/gadget.deb")
    home.run(PICLOUD, "env", "save-shutdown", "hand")
    first = home.python(_NOTE.format(path=_BY_HAND, name="hand"))
    pulled = images(second, registry)

    build(home, "later", "later")
    registry.processes["pull"].kill()
    end_slots(second)
    again = home.python(_NOTE.format(path=_BY_HAND, name="hand"))
    submit = f"print(cloud.call(lambda: open({_BY_RECIPE!r}).read(), _env='later'))"
    jid = home.python(submit)
    until(lambda: failed_pulls(home), "the machine has tried to pull it")
    waiting = home.run(PICLOUD, "status", jid)
    registry.processes["pull"].start()
    later = home.python(f"print(cloud.result({jid}, 120))")
    host = home.tokens()["PICLOUD_SLOT_HOST"]
    with socket.create_server((host, 0)) as canary:
        ports = [canary.getsockname()[1], api_port(home)]
        looked = home.python(_LOOK.format(host=host, ports=ports))
    before = images(second, registry)
    build(home, "later", "latest")
    until(lambda: len(images(second, registry)) > len(before), "the machine has the next version")

    assert looked == "(True, [False, True])"
    assert (first, again, later) == ("hello", "hello", "later")
    assert len(pulled) == 1
    assert "@sha256:" in pulled[0]
    assert "done" not in waiting


def test_volumes_and_setup_machines_are_for_jobs_of_a_second_machine(
    home: UserHome, second: Dockerd, registry: Registry
) -> None:
    """A volume is at its mount path in slots of both a saved environment and the base.

    What a job wrote there is in the next one. A setup machine runs next to the server, which runs
    no slots here: it begins as what ran on the second machine, and what is saved runs there.
    """
    build(home, "noted", "built")
    mounted = home.python(_VOLUME)
    shell = home.run(PICLOUD, "exec", "-e", "noted", "-v", "data", "cat /data/deep/b.txt").strip()
    printed = home.run(PICLOUD, "result", shell)
    before = images(second, registry)
    home.run(PICLOUD, "env", "modify", "noted")
    machines = second.docker("ps", "--format={{.Names}}").stdout
    noted = home.run(PICLOUD, "env", "ssh", "noted", f"cat {_BY_RECIPE}")
    home.run(PICLOUD, "env", "ssh", "noted", f"printf by-hand >{_BY_RECIPE}")
    home.run(PICLOUD, "env", "save-shutdown", "noted")
    saved = home.python(_NOTE.format(path=_BY_RECIPE, name="noted"))

    assert mounted == str([("/data/deep", True, "one"), ["a.txt", "b.txt"], ["a.txt", "b.txt"]])
    assert printed == "by first"
    assert noted == "built"
    assert "setup" not in machines
    assert saved == "by-hand"
    assert set(before) < set(images(second, registry))


def test_the_doctor_names_machines_without_a_registry(
    home: UserHome, second: Dockerd, registry: Registry
) -> None:
    """It says from where they pull, or that environments run on the machine that built them."""
    assert second.host
    without = {k: v for k, v in home.tokens().items() if not k.startswith("PICLOUD_SLOT_REGISTRY")}
    with first_takes_slots(home):
        found = [line(home, names) for names in ({}, without)]

    assert [each.ok for each in found] == [True, False]
    assert registry.pull in found[0].detail
    assert "2 machines run slots, but there is no registry" in found[1].detail
    assert line(home, without).ok


def line(home: UserHome, environment: dict[str, str]) -> Finding:
    """Return what the doctor says of images, given variables that precede those of the stack."""
    found = {each.check: each for each in doctor.examine(home.data, environment)}
    return found["images"]
