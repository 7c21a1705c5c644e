"""Isolation: what a job is, sees and can do in a slot that is a container; attacks from inside.

A probe reports the exact state of a job's process. If it drifts, docs/explanation/isolation.md,
whose table names these tests, has to change as well.
"""

from __future__ import annotations

import contextlib
import io
import operator
import os
import re
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from cloud import CloudException, bucket, volume
from cloud._client.client import Client
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress

from tests.current_client import current_client
from tests.e2e import nomad_requests
from tests.e2e import sandbox_probe as probe
from tests.e2e.command_line import PICLOUD
from tests.e2e.stack_docker import PRISTINE, DockerStack
from tests.e2e.system_calls import ANSWERS, ASKED
from tests.e2e.user_home import CALL, UserHome
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.stacks import Stack

WAIT_S = 120.0
#: Memory of core type c1, and what the supervisor has in addition.
LIMIT_MB = 300 + 64
#: SETGID, SETUID and KILL: what the supervisor has, and nobody in the container can exceed.
SUPERVISOR = "00000000000000e0"
NONE = "0000000000000000"


pytestmark = pytest.mark.containers(only=True)


@pytest.fixture
def caged(stack: Stack) -> DockerStack:
    """The shared stack, whose slots are containers."""
    assert isinstance(stack, DockerStack)
    return stack


@pytest.fixture
def jail(caged: DockerStack) -> Iterator[Client]:
    """A client of an account whose slots are exactly what a user's are."""
    with contextlib.closing(caged.client(caged.pristine["jail"])) as opened:
        yield opened


@pytest.fixture
def neighbour(caged: DockerStack) -> Iterator[Client]:
    """A client of another such account."""
    with contextlib.closing(caged.client(caged.pristine["neighbour"])) as opened:
        yield opened


def run(client: Client, function: Callable[..., Any], *arguments: object, **options: Any) -> Any:
    """Return the result of a job."""
    return client.result(client.call(function, *arguments, **options), timeout=WAIT_S)


# --- what a job is --------------------------------------------------------------------------------


def test_a_job_has_no_right_and_no_way_to_one(jail: Client) -> None:
    """A job runs as a user of its own without capabilities, cannot gain any, and seccomp is on."""
    status = run(jail, probe.status)

    rights = {name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    assert rights == dict.fromkeys(rights, NONE)
    assert status["CapBnd"] == SUPERVISOR
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    users = set(status["Uid"].split() + status["Gid"].split())
    assert len(users) == 1
    assert 20_001 <= int(users.pop()) <= 20_064
    assert status["Groups"] == ""


def test_the_supervisor_keeps_three_capabilities(jail: Client) -> None:
    """The supervisor may become another user and end that user's processes, nothing else."""
    status = run(jail, probe.state_of, 1)

    assert status["Uid"].split() == ["0"] * 4
    assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {SUPERVISOR}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_a_job_writes_to_memory_of_its_slot_only(jail: Client) -> None:
    """Every path that a job can write to is a tmpfs of bounded size, or its bucket, if an earlier
    job has asked for it; the root is read-only.
    """
    mounts = run(jail, probe.writable)

    assert {target for target, _, _ in mounts} - {"/bucket"} == {
        "/tmp",
        "/work/home",
        "/dev/shm",
        "/dev/mqueue",
    }
    assert {tuple(options) for _, _, options in mounts} == {("nodev", "nosuid")}
    refused = run(jail, probe.refused, ("/x", "/etc/x", "/work/x"))
    assert refused == ["EROFS", "EROFS", "EACCES"]


def test_no_program_of_the_image_is_setuid(jail: Client) -> None:
    """No file of the image changes its user, even without NoNewPrivs."""
    assert run(jail, probe.suid) == []


def test_numpy_is_there_in_the_base_environment(jail: Client) -> None:
    """PiCloud's own documentation: "since it's commonly used, it's pre-installed on our Base
    Environment, which avoid the 'Cannot import' error".
    """
    assert run(jail, probe.of_numpy, [1, 2, 3]) == 6


def test_large_values_travel_to_and_from_a_container(caged: DockerStack) -> None:
    """Arguments and results that go through S3 arrive as on other stacks."""
    data = bytes(range(256)) * 40_000
    config = Config()
    config.max_transmit_data = 16_000_000

    address = ServerAddress(caged.url, caged.pristine["jail"])
    with contextlib.closing(Client(address, config)) as client:
        assert run(client, bytes.swapcase, data) == data.swapcase()


def test_a_shell_has_the_rights_of_its_job(caged: DockerStack, jail: Client) -> None:
    """The promise: "your terminal is now SSH-ed into the system as a regular user with name
    empX".
    """
    jid = jail.call(time.sleep, WAIT_S)
    environment = caged.environment() | {"PICLOUD_API_KEY": caged.pristine["jail"]}
    command = [PICLOUD, "ssh", str(jid), "whoami; cat /proc/self/status"]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    user, *lines = done.stdout.splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert re.fullmatch(r"emp[0-9]+", user)
    rights = {name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    assert rights == dict.fromkeys(rights, NONE)
    own = run(jail, probe.status)
    for name in ("CapBnd", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Groups"):
        assert status[name].strip() == own[name], name
    jail.kill(jid)


# --- picloud up and down --------------------------------------------------------------------------


def rules() -> str:
    """Return the rules that guard the ports of this machine."""
    command = ["iptables", "--wait", "-S"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_picloud_up_isolates_where_it_can_and_down_leaves_nothing(
    caged: DockerStack, tmp_path: Path
) -> None:
    """`up` says that it isolates; running it twice sets up once; `down` removes rules and
    networks.
    """
    before, networks = rules(), caged.daemon.docker("network", "ls", "--quiet").stdout
    home = UserHome(tmp_path, {"DOCKER_HOST": caged.daemon.host})
    try:
        assert "docker driver: isolated" in home.up()
        assert home.python(CALL) == "1024"
        during = rules()
        assert "docker driver: isolated" in home.up()
        assert rules() == during != before
        home.down()
    finally:
        home.clear()

    assert rules() == before
    assert caged.daemon.docker("network", "ls", "--quiet").stdout == networks


# --- attacks --------------------------------------------------------------------------------------


def test_a_job_cannot_get_more_rights(jail: Client) -> None:
    """Every other way to gain rights is refused, too."""
    assert run(jail, probe.privilege) == {
        "kill": "EPERM",
        "sysctl": "EROFS",
        "cgroup": "EROFS",
        "raw socket": "EPERM",
        "packet socket": "EPERM",
        "priority": "EACCES",
        "real time": "EPERM",
        "owner": "EPERM",
        "core files": "(0, 0)",
    }


def test_each_system_call_is_answered_as_expected(jail: Client) -> None:
    """The kernel gives the exact answer to each system call, including the allowed ones."""
    assert run(jail, probe.calls, ASKED) == ANSWERS


def test_a_job_finds_no_token(jail: Client) -> None:
    """No file, argument or process that a job can read has the token or identity of its slot."""
    tokens = run(jail, probe.sweep, "eyJhbGciOi")  # how a signed token begins

    assert tokens == {"reached": [], "tokens": []}


def test_a_job_finds_no_secret_anywhere(
    caged: DockerStack, jail: Client, neighbour: Client
) -> None:
    """A job searches every file, /proc and its own memory for each secret: keys, tokens of slots
    and of another running job, what signs them, and what opens the servers.
    """
    run(jail, pow, 2, 10)
    other_job = neighbour.call(probe.tell_token, 120.0)
    token = until(
        lambda: neighbour.info(other_job, ["stdout"])[other_job].get("stdout") or "",
        "it published its token",
    )
    secrets = {**caged.secrets(), "another running job": token.strip().encode()}
    planted = uuid4().hex.encode()
    assert all(len(secret) >= 16 for secret in secrets.values()), secrets.keys()

    turned = [secret.translate(probe.FLIP) for secret in (*secrets.values(), planted)]
    places = run(jail, probe.hunt, turned, planted.translate(probe.FLIP), _max_runtime=2)

    names = [*secrets, "planted"]
    assert {(names[at], place) for at, place in places} == {
        ("planted", place) for place in ("/tmp", "environment", "memory")
    }
    neighbour.kill(other_job)


def test_a_stolen_token_is_of_no_use(caged: DockerStack, jail: Client) -> None:
    """The token of a job in a container opens its account while the job runs. It cannot be changed
    into that of another attempt, and within 5 s after the job's end it opens nothing.
    """
    jid = jail.call(probe.tell_token, 120.0)
    token = until(
        lambda: jail.info(jid, ["stdout"])[jid].get("stdout") or "", "it published its token"
    ).strip()
    *_, attempt, mac = token.split("_")
    other = token.replace(f"_{attempt}_{mac}", f"_{int(attempt) + 1}_{mac}")

    assert opens(caged, token)
    assert not opens(caged, other)
    jail.kill(jid)
    until(lambda: jail.status(jid) == "killed", "the job has ended")
    until(lambda: not opens(caged, token), "its token opens nothing", 30.0)


def opens(stack: DockerStack, credential: str) -> bool:
    """Return whether a credential opens the account."""
    with contextlib.closing(stack.client(credential)) as thief:
        try:
            thief.check_key()
        except CloudException:
            return False
    return True


def test_nomad_gives_no_rights_outside_containers(caged: DockerStack) -> None:
    """Even with Nomad's token there is no driver that would run programs of the machine."""
    nomad = caged.addresses().nomad

    (node,) = nomad_requests.get(nomad, "nodes")

    drivers = nomad_requests.get(nomad, f"node/{node['ID']}")["Drivers"]
    assert [name for name, driver in drivers.items() if driver["Healthy"]] == ["docker"]


def test_nomads_directories_are_shut(jail: Client) -> None:
    """A job can neither read its slot's identity nor write to the machine's disk through Nomad's
    directories.
    """
    assert run(jail, probe.shut) == ["EACCES"] * 3


def test_a_bucket_is_mounted_for_its_jobs_only(jail: Client, neighbour: Client) -> None:
    """A job has the files of its account, and no way from there to other files, to the device or to
    what mounts buckets; jobs of another account have theirs.
    """
    expected = {
        "kind": "fuse.bucket",
        "options": ["nodev", "nosuid"],
        "user": True,
        "names": ["own"],
        "above": True,
        "device": "ENOENT",
        "request": "EACCES",
        "symbolic link": "ENOSYS",
        "hard link": "EPERM",
        "device node": "EPERM",
        "unmount": "EPERM",
    }
    with current_client(jail):
        bucket.putf(io.BytesIO(b"x"), "own")

    mounts = [run(client, probe.bucket_mount) for client in (jail, neighbour)]

    assert mounts == [expected, expected]
    for client in (jail, neighbour):
        with current_client(client):
            bucket.remove("own")


def test_a_volume_is_mounted_for_its_job_only(jail: Client, neighbour: Client) -> None:
    """A job has its volume at the mount path, and cannot have it where it would hide anything; it
    is gone with the job, and jobs of another account never see it.
    """
    name = f"own-{uuid4().hex[:8]}"
    path = f"/{name}/deep"
    others = ["/usr", "/etc/new", "/work/new", "/alloc/bucket", "/lib/new", "/tmp", "/proc/1"]
    with current_client(jail):
        volume.create(name, path)
    seen = run(jail, probe.volume_mount, name, path, [*others, f"{path}/below"], _vol=name)

    assert seen == {
        "names": [],
        "options": ["nodev", "nosuid"],
        "others": [False] * 8,
        "unnamed": False,
        "unmount": "EPERM",
        "beside": "EROFS",
    }
    assert not run(jail, os.path.exists, path)
    assert not run(neighbour, os.path.exists, path)
    with current_client(jail):
        assert volume.ls(f"{name}:") == ["own"]
        volume.delete(name)


def test_files_open_for_writing_are_memory_of_bounded_size(jail: Client) -> None:
    """The copy of a file that is written to the bucket cannot fill the disk of the machine."""
    error, megabytes = run(jail, probe.fill_bucket)

    assert error == "ENOSPC"
    assert megabytes <= LIMIT_MB // 2
    assert run(jail, pow, 2, 3) == 8


def test_a_job_reaches_the_api_and_s3_and_no_other_port_of_the_machine(
    caged: DockerStack, jail: Client
) -> None:
    """Nomad, Consul, Vault and all other listeners of this machine cannot be reached from a job."""
    addresses = caged.addresses()
    assert addresses.slots is not None
    gateway = addresses.slots.host
    consul = addresses.consul.browser or addresses.consul.address
    servers = (addresses.nomad.address, consul, addresses.vault.address)
    control = [int(address.rpartition(":")[2]) for address in servers]
    allowed = [int(url.rpartition(":")[2]) for url in (caged.url, addresses.s3.endpoint)]

    with socket.create_server(("0.0.0.0", 0)) as canary:
        canaries = [canary.getsockname()[1]]
        hosts = ["127.0.0.1", gateway, caged.own_address()]
        places = [(host, port) for host in hosts for port in control + canaries + allowed]
        places += [("169.254.169.254", 80)]
        assert probe.reachable([(gateway, canaries[0])]), "the canary listens"
        open_ports = run(jail, probe.reachable, places)

    assert open_ports == [(gateway, port) for port in allowed]


def test_slots_do_not_reach_each_other(jail: Client, neighbour: Client) -> None:
    """A job of another account cannot connect to a port that a job opens."""
    listening = jail.call(probe.listen, 20.0)
    place = until(lambda: ports_of(jail, listening), "the job listens")

    assert run(neighbour, probe.reachable, [place]) == []
    jail.kill(listening)


def test_the_names_of_slots_tell_nothing(jail: Client, neighbour: Client) -> None:
    """Docker's DNS calls a slot by random numbers, not by its account, its jobs or their number."""
    listening = neighbour.call(probe.listen, WAIT_S)
    address, _ = until(lambda: ports_of(neighbour, listening), "the job listens")
    account = PRISTINE["neighbour"]

    name, resolved = run(jail, probe.looked_up, address, ["slot", account, f"slot-{account}"])

    assert re.fullmatch(
        r"slot-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.picloud-[0-9a-f]{12}", name
    )
    assert resolved == []
    neighbour.kill(listening)


def ports_of(client: Client, jid: int) -> tuple[str, int] | None:
    """Return the address of a job of `listen`, once it is published."""
    printed = client.info(jid, ["stdout"])[jid].get("stdout") or ""
    return (printed.strip(), 7777) if printed.strip() else None


def test_a_fork_bomb_stays_in_its_slot_and_ends_with_its_job(jail: Client) -> None:
    """A job cannot create processes beyond its limit; the slot goes on, and none of them
    is left.
    """
    assert run(jail, probe.bomb) <= 256
    # The supervisor, the zygote, this job, and an idle child that takes its place.
    until(
        lambda: run(jail, probe.processes) <= 4,
        "everything the bomb started has ended",
        WAIT_S,
    )


@pytest.mark.parametrize("place", ["/tmp", "/work/home"])
def test_a_full_directory_harms_its_job_only(jail: Client, place: str) -> None:
    """A job that fills what it may write to gets an error; the machine's disk is not touched."""
    written, why = run(jail, probe.fill, place)

    assert why == "ENOSPC"
    assert written <= LIMIT_MB // 4
    assert run(jail, pow, 2, 10) == 1024


def test_a_memory_bomb_ends_alone(jail: Client, neighbour: Client) -> None:
    """A job that takes more memory than its core type has ends with that cause; other
    jobs go on.
    """
    working = neighbour.call(probe.steady, 4.0)

    with pytest.raises(CloudException, match=f"out of memory .limit {LIMIT_MB} MB"):
        run(jail, probe.devour)

    assert neighbour.result(working, timeout=WAIT_S) > 1
    assert run(jail, pow, 2, 10) == 1024


class Swollen:
    """An argument that takes more memory where it is unpickled than a slot has."""

    def __reduce__(self) -> Any:
        return operator.mul, (b"x", 2 * LIMIT_MB * 2**20)


def test_an_argument_larger_than_its_slot_ends_its_own_job(jail: Client) -> None:
    """The kernel ends the interpreter that unpickles it. The supervisor lives and names the cause:
    otherwise the slot would be lost, and its other jobs with it.
    """
    jids = jail.map(len, [b"first", Swollen(), b"third"])

    first, error, third = jail.result(jids, WAIT_S, ignore_errors=True)

    assert (first, third) == (5, 5)
    assert re.search(rf"out of memory .limit {LIMIT_MB} MB", str(error))
    info = jail.info(jids[1], ["cause", "memory.failcnt", "syslog"])[jids[1]]
    assert info["cause"] == "out of memory"
    assert f"slot: out of memory (limit {LIMIT_MB} MB" in info["syslog"]
    assert info["memory.failcnt"] > 0


def test_the_traffic_of_a_slot_is_that_of_its_job(jail: Client) -> None:
    """A container has a network of its own, so that what it receives and sends can be counted."""
    jid = jail.call(time.sleep, 1.5)

    jail.join(jid, WAIT_S)

    (network,) = jail.info(jid, ["network"])[jid].values()
    assert network["received"] > 0
    assert network["sent"] > 0


def test_a_memory_bomb_does_not_slow_its_neighbour_down(jail: Client, neighbour: Client) -> None:
    """Another account's job is at most a tenth slower during one memory bomb after the other.

    Other programs of the machine affect the times, too, so that one undisturbed pair of
    measurements is enough.
    """
    ratios: list[float] = []

    def undisturbed() -> bool:
        alone = run(neighbour, probe.pace, 2.0)
        working = neighbour.call(probe.pace, 3.0)
        while neighbour.status(working) in ("queued", "processing"):
            jail.join(jail.call(probe.devour), WAIT_S, ignore_errors=True)
        ratios.append(neighbour.result(working, timeout=WAIT_S) / alone)
        return ratios[-1] <= 1.1

    until(undisturbed, "the neighbour is hardly slower", WAIT_S)
    print(f"\nnext to memory bombs a job takes {[round(ratio, 2) for ratio in ratios]} of its time")


def test_jobs_make_jobs_in_containers(jail: Client) -> None:
    """A job calls `cloud` without setup, and meanwhile its slot runs what it waits for.

    It is the last test here: the slot keeps the interpreters of blocked jobs.
    """
    assert run(jail, probe.fibonacci, 6) == 8
