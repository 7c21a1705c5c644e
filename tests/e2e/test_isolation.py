"""Isolation: what a job is, sees and can do where slots are containers; and attacks from inside.

A probe tells the exact state of a job's process. When it drifts, so does the promise in
docs/explanation/isolation.md, whose table names these tests.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import urllib3
from cloud import CloudException
from cloud._client.client import Client
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress

from tests.e2e import sandbox_probe as probe
from tests.e2e.stack_docker import DockerStack
from tests.e2e.system_calls import ANSWERS, ASKED
from tests.e2e.user_home import CALL, UserHome
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.stacks import Stack

WAIT_S = 120.0
#: Memory of core type c1, and what the supervisor has beside it.
LIMIT_MB = 300 + 64
#: SETGID, SETUID and KILL: what the supervisor has, and nobody in the container can exceed.
SUPERVISOR = "00000000000000e0"
NONE = "0000000000000000"


pytestmark = pytest.mark.containers(only=True)


@pytest.fixture
def caged(stack: Stack) -> DockerStack:
    """The common stack whose slots are containers."""
    assert isinstance(stack, DockerStack)
    return stack


@pytest.fixture
def jail(caged: DockerStack) -> Iterator[Client]:
    """A client of an account whose slots are just what a user's are."""
    with contextlib.closing(caged.client(caged.pristine["jail"])) as found:
        yield found


@pytest.fixture
def neighbour(caged: DockerStack) -> Iterator[Client]:
    """A client of another such account."""
    with contextlib.closing(caged.client(caged.pristine["neighbour"])) as found:
        yield found


def run(client: Client, function: Callable[..., Any], *arguments: object, **options: Any) -> Any:
    """The result of a job."""
    return client.result(client.call(function, *arguments, **options), timeout=WAIT_S)


# --- what a job is --------------------------------------------------------------------------------


def test_a_job_has_no_right_and_no_way_to_one(jail: Client) -> None:
    """A job is a user of its own without capabilities, cannot gain any, and seccomp is on."""
    found = run(jail, probe.status)

    rights = {name: found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    assert rights == dict.fromkeys(rights, NONE)
    assert found["CapBnd"] == SUPERVISOR
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    users = set(found["Uid"].split() + found["Gid"].split())
    assert len(users) == 1
    assert 20_001 <= int(users.pop()) <= 20_064
    assert found["Groups"] == ""


def test_the_supervisor_keeps_three_capabilities(jail: Client) -> None:
    """Root of the container may change into another user and end its processes, no more."""
    found = run(jail, probe.state_of, 1)

    assert found["Uid"].split() == ["0"] * 4
    assert {found[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {SUPERVISOR}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")


def test_a_job_writes_to_memory_of_its_slot_only(jail: Client) -> None:
    """Every place a job can write to is a tmpfs with a size; the root is read-only."""
    found = run(jail, probe.writable)

    assert {target for target, _, _ in found} == {"/tmp", "/work/home", "/dev/shm", "/dev/mqueue"}
    assert {tuple(options) for _, _, options in found} == {("nodev", "nosuid")}
    refused = run(jail, probe.refused, ("/x", "/etc/x", "/work/x"))
    assert refused == ["EROFS", "EROFS", "EACCES"]


def test_no_program_of_the_image_is_setuid(jail: Client) -> None:
    """Nothing in the image changes its user, even where NoNewPrivs would not stop it."""
    assert run(jail, probe.suid) == []


def test_numpy_is_there_in_the_base_environment(jail: Client) -> None:
    """PiCloud's own documentation: "since it's commonly used, it's pre-installed on our Base
    Environment, which avoid the 'Cannot import' error".
    """
    assert run(jail, probe.of_numpy, [1, 2, 3]) == 6


def test_large_values_travel_to_and_from_a_container(caged: DockerStack) -> None:
    """Arguments and results that go by S3 itself arrive as they do elsewhere."""
    data = bytes(range(256)) * 40_000
    config = Config()
    config.max_transmit_data = 16_000_000

    address = ServerAddress(caged.url, caged.pristine["jail"])
    with contextlib.closing(Client(address, config)) as client:
        assert run(client, bytes.swapcase, data) == data.swapcase()


# --- picloud up and down --------------------------------------------------------------------------


def rules() -> str:
    """What guards the ports of this machine."""
    command = ["iptables", "--wait", "-S"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_picloud_up_isolates_where_it_can_and_down_leaves_nothing(
    caged: DockerStack, tmp_path: Path
) -> None:
    """It says that it does; twice sets up once; afterwards neither rules nor networks are left."""
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
    """Everything else that would give a job more is refused, too."""
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
    """What user code asks the kernel for: the exact answer to each call, those allowed as well."""
    assert run(jail, probe.calls, ASKED) == ANSWERS


def test_a_job_finds_no_token(jail: Client) -> None:
    """No file, argument or process that a job can read has the token or identity of its slot."""
    found = run(jail, probe.sweep, "eyJhbGciOi")  # how a signed token begins

    assert found == {"reached": [], "tokens": []}


def test_a_job_finds_no_secret_anywhere(
    caged: DockerStack, jail: Client, neighbour: Client
) -> None:
    """Every file, /proc and its own memory, searched by a job for each secret there is: keys,
    tokens of slots and of a job that runs beside it, what signs them, and what opens the servers.
    """
    run(jail, pow, 2, 10)
    beside = neighbour.call(probe.tell_token, 120.0)
    token = until(lambda: neighbour.info(beside, ["stdout"])[beside].get("stdout") or "", "it told")
    secrets = {**caged.secrets(), "a job beside it": token.strip().encode()}
    planted = uuid4().hex.encode()
    assert all(len(secret) >= 16 for secret in secrets.values()), secrets.keys()

    turned = [secret.translate(probe.FLIP) for secret in (*secrets.values(), planted)]
    found = run(jail, probe.hunt, turned, planted.translate(probe.FLIP), _max_runtime=2)

    names = [*secrets, "planted"]
    assert {(names[at], place) for at, place in found} == {
        ("planted", place) for place in ("/tmp", "environment", "memory")
    }
    neighbour.kill(beside)


def test_a_stolen_token_is_of_no_use(caged: DockerStack, jail: Client) -> None:
    """The token of a job in a container opens its account while the job runs; no other attempt's
    can be made of it, and within 5 s after the job's end it opens nothing.
    """
    jid = jail.call(probe.tell_token, 120.0)
    token = until(lambda: jail.info(jid, ["stdout"])[jid].get("stdout") or "", "it told").strip()
    *_, attempt, mac = token.split("_")
    other = token.replace(f"_{attempt}_{mac}", f"_{int(attempt) + 1}_{mac}")

    assert opens(caged, token)
    assert not opens(caged, other)
    jail.kill(jid)
    until(lambda: jail.status(jid) == "killed", "the job has ended")
    until(lambda: not opens(caged, token), "its token opens nothing", 5.0)


def opens(stack: DockerStack, credential: str) -> bool:
    """Whether a credential opens the account."""
    with contextlib.closing(stack.client(credential)) as thief:
        try:
            thief.check_key()
        except CloudException:
            return False
    return True


def test_nomad_gives_no_rights_outside_containers(caged: DockerStack) -> None:
    """Whoever has its token finds no driver there that would run programs of the machine."""
    nomad = caged.addresses().nomad
    headers = {"X-Nomad-Token": nomad.token}

    def get(path: str) -> Any:
        return urllib3.request("GET", f"{nomad.address}/v1/{path}", headers=headers).json()

    (node,) = get("nodes")
    drivers = get(f"node/{node['ID']}")["Drivers"]
    assert [name for name, driver in drivers.items() if driver["Healthy"]] == ["docker"]


def test_nomads_directories_are_shut(jail: Client) -> None:
    """A job neither reads its slot's identity nor writes to the machine's disk through Nomad's."""
    assert run(jail, probe.shut) == ["EACCES"] * 3


def test_a_job_reaches_the_api_and_s3_and_no_other_port_of_the_machine(
    caged: DockerStack, jail: Client
) -> None:
    """Nomad, Consul, Vault and whatever else listens here cannot be reached from inside a job."""
    addresses = caged.addresses()
    assert addresses.slots is not None
    gateway = addresses.slots.host
    servers = (addresses.nomad.address, addresses.consul.address, addresses.vault.address)
    control = [int(address.rpartition(":")[2]) for address in servers]
    allowed = [int(url.rpartition(":")[2]) for url in (caged.url, addresses.s3.endpoint)]

    with socket.create_server(("0.0.0.0", 0)) as canary:
        canaries = [canary.getsockname()[1]]
        hosts = ["127.0.0.1", gateway, caged.own_address()]
        places = [(host, port) for host in hosts for port in control + canaries + allowed]
        places += [("169.254.169.254", 80)]
        assert probe.reachable([(gateway, canaries[0])]), "the canary listens"
        found = run(jail, probe.reachable, places)

    assert found == [(gateway, port) for port in allowed]


def test_slots_do_not_reach_each_other(jail: Client, neighbour: Client) -> None:
    """A port that a job of one account opens is closed to a job of another."""
    listening = jail.call(probe.listen, 20.0)
    place = until(lambda: ports_of(jail, listening), "the job listens")

    assert run(neighbour, probe.reachable, [place]) == []
    jail.kill(listening)


def ports_of(client: Client, jid: int) -> tuple[str, int] | None:
    """Where a job of `listen` listens, once it has told."""
    said = client.info(jid, ["stdout"])[jid].get("stdout") or ""
    return (said.strip(), 7777) if said.strip() else None


def test_a_fork_bomb_stays_in_its_slot_and_ends_with_its_job(jail: Client) -> None:
    """It is refused processes beyond its limit; the slot goes on, and nothing of it is left."""
    assert run(jail, probe.bomb) <= 256
    # The supervisor, the zygote, this job, and an idle child that takes its place.
    until(
        lambda: run(jail, probe.processes) <= 4,
        "everything the bomb started has ended",
        WAIT_S,
    )


@pytest.mark.parametrize("place", ["/tmp", "/work/home"])
def test_a_full_directory_harms_its_job_only(jail: Client, place: str) -> None:
    """A job that fills what it may write to is told so; the machine's disk is not touched."""
    written, why = run(jail, probe.fill, place)

    assert why == "ENOSPC"
    assert written <= LIMIT_MB // 4
    assert run(jail, pow, 2, 10) == 1024


def test_a_memory_bomb_ends_alone(jail: Client, neighbour: Client) -> None:
    """A job that takes more than its core type has is ended, and told why; others go on."""
    working = neighbour.call(probe.steady, 4.0)

    with pytest.raises(CloudException, match=f"out of memory .limit {LIMIT_MB} MB"):
        run(jail, probe.devour)

    assert neighbour.result(working, timeout=WAIT_S) > 1
    assert run(jail, pow, 2, 10) == 1024


def test_a_memory_bomb_does_not_slow_its_neighbour_down(jail: Client, neighbour: Client) -> None:
    """Another account's job is at most a tenth slower while one bomb after the other goes off.

    Whatever else the machine does counts as well, so one undisturbed pair of measurements will do.
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
    print(f"\nbeside memory bombs a job takes {[round(ratio, 2) for ratio in ratios]} of its time")


def test_jobs_make_jobs_in_containers(jail: Client) -> None:
    """A job calls `cloud` with nothing set up, and its slot runs what it waits for meanwhile.

    The last one here: the slot keeps the interpreters that were set aside, which are no strangers.
    """
    assert run(jail, probe.fibonacci, 6) == 8
