"""What the adapter `nomad` promises of machines, of operators and of its access to Nomad."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import requests
from picloud_driver.nomad.administrator import NomadAdministrator
from picloud_driver.nomad.bootstrap import bootstrap
from picloud_driver.nomad.gateway import NomadAccess, NomadGateway
from picloud_driver.policies import policy
from picloud_driver.scheduler import Burst, Pool, SlotPresence
from picloud_driver.scheduler.nomad.scheduler import NomadScheduler
from picloud_jobspecs.render import fill, jobspec, variables
from picloud_model.errors import NotAllowed, RequestRefused, Unavailable

from tests.contract.nomad_site import JOB, SITE, NomadSite
from tests.contract.scheduler_adapters import POOL, next_ends, places, started
from tests.polling import eventually
from tests.servers import running
from tests.servers.process import HOST, binary, free_ports, scratch, server, wait_until

COLD_S = 15.0


@contextlib.asynccontextmanager
async def out_of_use(nomad: running.Nomad) -> AsyncIterator[None]:
    """An operator lets the one machine take no new slots until the block ends."""
    url = f"{nomad.address}/v1/node/{nomad.node_id}/eligibility"

    def set_eligible(eligibility: str) -> None:
        body = {"Eligibility": eligibility}
        requests.post(url, json=body, timeout=10).raise_for_status()

    await asyncio.to_thread(set_eligible, "ineligible")
    yield
    await asyncio.to_thread(set_eligible, "eligible")


# --- machines -------------------------------------------------------------------------------------


async def test_a_burst_goes_where_its_core_type_is_offered() -> None:
    """A core type that a machine's meta lists is started there; others are refused by name.

    Registered all the same, such a burst gets no machine from Nomad.
    """
    with running.nomad(meta={"picloud_core_types": "c2,s1"}) as server:
        nomad = NomadScheduler(NomadAccess(server.address), SITE)
        gateway = nomad._gateway
        with pytest.raises(RequestRefused, match=r"core type 'c1'; machines offer c2, s1\."):
            await nomad.start(Burst("pc-1", POOL, 1))
        await nomad.start(Burst("pc-2", Pool("a0000001", "c2", 1), 1))

        evaluation = gateway.register(fill(gateway.parse(jobspec(), variables(SITE, JOB)), JOB))
        assert evaluation
        assert gateway.evaluated(evaluation, 10.0)

        [placed, waiting] = await nomad.slots()
        assert (await NomadSite(server.address, server.directory, 0).slot(placed.place)).is_running
        assert waiting == SlotPresence("pc-1", "pc-1[0]", running=False)
        wanted = {"c1": 0, "c2": os.cpu_count(), "s1": os.cpu_count(), "c9": 0}
        assert {name: await nomad.capacity(name) for name in wanted} == wanted
        await nomad.close()


async def test_without_machines_nothing_can_be_started() -> None:
    """`ping` and `start` say what a machine needs to take slots."""
    with running.nomad() as server:
        nomad = NomadScheduler(NomadAccess(server.address), SITE)

        with pytest.raises(Unavailable, match="whose meta has picloud_core_types"):
            await nomad.ping()
        with pytest.raises(RequestRefused, match="whose meta has picloud_core_types"):
            await nomad.start(Burst("pc-1", POOL, 1))
        await nomad.close()


async def test_slots_wait_for_a_machine(
    nomad_server: running.Nomad, nomad_site: NomadSite, nomad: NomadScheduler
) -> None:
    """A slot without a place is pending, and gets one when a machine comes that will do."""
    await nomad.ping()
    async with out_of_use(nomad_server):
        await nomad.start(Burst("pc-1", POOL, 1))
        waiting = await nomad.slots()

    async def placed() -> bool:
        return not (await places(nomad, "pc-1"))[0].startswith("pc-1[")

    await eventually(placed, "the slot got a place")
    assert waiting == [SlotPresence("pc-1", "pc-1[0]", running=False)]
    assert (await nomad_site.slot((await places(nomad, "pc-1"))[0])).is_running


async def test_a_machine_is_drained_and_takes_slots_again(
    nomad_server: running.Nomad, nomad_site: NomadSite, nomad: NomadScheduler
) -> None:
    """Its slots run on until the deadline; further ones wait until it is kept."""
    (stays,) = await started(nomad, "pc-stays")
    assert (await nomad_site.slot(stays)).is_running

    with NomadAdministrator(NomadAccess(nomad_server.address)) as administrator:
        (before,) = administrator.machines()
        administrator.drain(before.id, 600.0)
        await nomad.start(Burst("pc-waits", POOL, 1))
        (drained,) = administrator.machines()
        administrator.keep(before.id)
        await eventually(lambda: administrator.machines()[0].slots == 2, "both have a place")
        (kept,) = administrator.machines()

    assert (before.id, before.eligible, before.slots) == (nomad_server.node_id, True, 1)
    assert (drained.eligible, drained.slots) == (False, 1)
    assert kept.eligible
    assert (await nomad_site.slot(stays)).is_running


@pytest.mark.usefixtures("nomad")
async def test_an_empty_machine_that_was_drained_takes_slots_again(
    nomad_server: running.Nomad,
) -> None:
    """Nomad takes the drain for complete at once; the machine stays out of use until it is kept."""
    with NomadAdministrator(NomadAccess(nomad_server.address)) as administrator:
        (before,) = administrator.machines()
        administrator.drain(before.id, 600.0)
        await eventually(lambda: not is_draining(nomad_server), "the drain is complete")
        (drained,) = administrator.machines()
        administrator.keep(before.id)
        (kept,) = administrator.machines()

    assert (before.slots, drained.eligible, kept.eligible) == (0, False, True)


def is_draining(nomad: running.Nomad) -> bool:
    """Whether Nomad still moves slots away from the one machine."""
    answer = requests.get(f"{nomad.address}/v1/node/{nomad.node_id}", timeout=10)
    return bool(answer.json()["DrainStrategy"])


async def test_nomad_says_why_slots_wait(nomad: NomadScheduler) -> None:
    """The pending reason of a pool whose slots have no place is what ran out on the machines."""
    assert await nomad.pending_reason(POOL) == ""
    await nomad.start(Burst("pc-1", POOL, 1000))

    told = await nomad.pending_reason(POOL)
    other = await nomad.pending_reason(Pool("a0000002", "c1", 1))

    assert told.startswith("Nomad has no room for a slot of 1 x c1 now: of 1 machines 1 without")
    assert other == ""


async def test_nomad_says_why_slots_do_not_start(nomad_site: NomadSite) -> None:
    """A slot that its machine cannot start, as it lacks a user or an image, is the reason."""
    nobody = msgspec.structs.replace(SITE, user="no-such-user")
    nomad = NomadScheduler(NomadAccess(nomad_site.address), nobody)
    await nomad.start(Burst("pc-1", POOL, 1))

    reason = await eventually(lambda: nomad.pending_reason(POOL), "the slot has failed")

    assert reason.startswith("Slots do not start: ")
    assert "unknown user no-such-user" in reason
    assert await nomad.pending_reason(Pool("a0000002", "c1", 1)) == ""
    await nomad.close()


async def test_processes_fetch_no_images(
    nomad: NomadScheduler, nomad_gateway: NomadGateway
) -> None:
    """Only containers have images, so `prefetch` registers nothing."""
    await nomad.prefetch(f"sha256:{'1' * 64}", "")

    assert nomad_gateway.jobs("picloud") == []


async def test_slots_without_a_place_are_stopped(nomad: NomadScheduler) -> None:
    """`stop` takes back the wish for slots that no machine has room for."""
    await nomad.start(Burst("pc-1", POOL, 1000))
    waiting = [place for place in await places(nomad, "pc-1") if place.startswith("pc-1[")]

    await nomad.stop("pc-1")

    assert len(waiting) > 900
    assert await nomad.slots() == []


async def test_a_burst_stopped_before_it_is_placed_stays_stopped(
    nomad: NomadScheduler, nomad_gateway: NomadGateway
) -> None:
    """`stop` waits until Nomad has no plan left to place a slot."""
    template = nomad_gateway.parse(jobspec(), variables(SITE, JOB))
    for number in range(5):
        job = msgspec.structs.replace(JOB, burst=f"pc-{number}", count=50)
        nomad_gateway.register(fill(template, job))

        await nomad.stop(job.burst)

        assert await nomad.slots() == []


async def test_capacity_is_what_machines_say_and_have(
    nomad_server: running.Nomad, nomad: NomadScheduler
) -> None:
    """A machine's `picloud_slots` count, as far as it has room, and while it takes slots."""
    assert [await nomad.capacity(core_type) for core_type in ("s1", "c1")] == [3, 3]

    async with out_of_use(nomad_server):
        later = NomadScheduler(NomadAccess(nomad_server.address), SITE)
        assert await later.capacity("c1") == 0
        await later.close()


async def test_a_slot_larger_than_any_machine_is_refused(nomad: NomadScheduler) -> None:
    """Rather than wait forever: the sentence says what it takes."""
    burst = Burst("pc-1", Pool("a0000001", "m1", 1000), 1)

    with pytest.raises(RequestRefused, match="1300000 MHz and 8000000 MB"):
        await nomad.start(burst)


async def test_a_burst_is_registered_once(
    nomad_site: NomadSite, nomad: NomadScheduler, nomad_gateway: NomadGateway
) -> None:
    """Not even for a slot that failed, nor for another count, is a burst registered again."""
    [place] = await started(nomad)
    (await nomad_site.slot(place)).give("exit 1")
    await next_ends(nomad)

    await nomad.start(Burst("pc-1", POOL, 1))
    await nomad.start(Burst("pc-1", POOL, 5))

    found, _ = nomad_gateway.allocations_of("pc-1")
    assert [allocation.id for allocation in found] == [place]
    assert await nomad.slots() == []


# --- what operators see ---------------------------------------------------------------------------


async def test_operators_see_bursts_by_name(nomad_site: NomadSite, nomad: NomadScheduler) -> None:
    """`nomad job status` lists a burst by its name, `nomad alloc logs` what its slot said."""
    name = "pc-a0000001-000000000042-0badcafe"
    [place] = await started(nomad, name)
    await (await nomad_site.slot(place)).carry_out("say the last words")

    def shown(*command: str) -> str:
        environment = {"NOMAD_ADDR": nomad_site.address}
        done = subprocess.run(
            [binary("nomad"), *command], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert name in shown("job", "status")
    assert "the last words" in shown("alloc", "logs", "-stderr", place)


async def test_the_first_slot_begins_soon(nomad_site: NomadSite, nomad: NomadScheduler) -> None:
    """From a cold adapter to a slot that has begun it takes well below what a cold call may."""
    began = time.monotonic()

    [place] = await started(nomad)
    await nomad_site.slot(place)

    assert time.monotonic() - began < COLD_S


# --- access ---------------------------------------------------------------------------------------


async def test_the_environment_does_not_matter(
    nomad_site: NomadSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses, tokens, proxies and certificates in the environment are ignored."""
    for name in ("NOMAD_ADDR", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NOMAD_TOKEN", "NOMAD_NAMESPACE"):
        monkeypatch.setenv(name, "/nowhere")
    nomad = nomad_site.open()

    await nomad.ping()

    await nomad.close()


@pytest.fixture
def guarded() -> Iterator[tuple[str, str]]:
    """A Nomad that asks for tokens: its address, and a token that may do everything."""
    with scratch("nomad-acl") as directory:
        http, rpc, serf = free_ports(3)
        (directory / "agent.hcl").write_text(f"""
            bind_addr = "{HOST}"
            data_dir  = "{directory}/data"
            advertise {{
              http = "{HOST}:{http}"
              rpc  = "{HOST}:{rpc}"
              serf = "{HOST}:{serf}"
            }}
            ports {{
              http = {http}
              rpc  = {rpc}
              serf = {serf}
            }}
            server {{
              enabled          = true
              bootstrap_expect = 1
              raft_multiplier  = 1
            }}
            acl {{
              enabled = true
            }}
        """)
        address = f"http://{HOST}:{http}"
        command = [binary("nomad"), "agent", f"-config={directory / 'agent.hcl'}"]
        with server(command, directory=directory, url=f"{address}/v1/status/leader"):
            made: dict[str, Any] = {}

            def bootstrapped() -> bool:
                answer = requests.post(f"{address}/v1/acl/bootstrap", timeout=10)
                made.update(answer.json() if answer.ok else {})
                return answer.ok

            wait_until(bootstrapped, "a first token was made")
            yield address, made["SecretID"]


async def test_a_token_is_needed_where_nomad_asks_for_one(guarded: tuple[str, str]) -> None:
    """Without one, one sentence says what it must permit; with one, requests succeed."""
    address, token = guarded
    stranger = NomadScheduler(NomadAccess(address), SITE)
    known = NomadScheduler(NomadAccess(address, token=token), SITE)

    for asked in (stranger.slots(), stranger.capacity("c1"), stranger.ended(0)):
        with pytest.raises(NotAllowed, match="it has to allow submit-job"):
            await asked

    assert await known.slots() == []
    assert await known.ended(0) == []
    assert token not in repr(known) + repr(NomadAccess(address, token=token))
    await stranger.close()
    await known.close()


REFUSED = [
    ("PUT", "jobs?namespace=other"),
    ("GET", "jobs?namespace=other"),
    ("PUT", "job/pc-1/dispatch"),
    ("PUT", "var/secret"),
    ("GET", "var/secret"),
    ("PUT", "acl/token"),
    ("GET", "acl/tokens"),
    ("PUT", "acl/policy/mine"),
    ("PUT", "namespace/mine"),
    ("PUT", "operator/scheduler/configuration"),
    ("GET", "operator/raft/configuration"),
    ("GET", "operator/snapshot"),
    ("PUT", "system/gc"),
    ("GET", "agent/self"),
    ("PUT", "node/00000000-0000-0000-0000-000000000000/drain"),
    ("PUT", "node/00000000-0000-0000-0000-000000000000/eligibility"),
]


def test_a_nomad_without_acls_is_named(nomad_site: NomadSite) -> None:
    """Bootstrap can make no token there; the error says what to configure."""
    with (
        NomadAdministrator(NomadAccess(nomad_site.address)) as nomad,
        pytest.raises(Unavailable, match=r"has no ACLs: set `acl \{ enabled = true \}`"),
    ):
        nomad.manages()


def test_a_token_that_may_not_bootstrap_is_named(guarded: tuple[str, str]) -> None:
    """Bootstrap needs a management token, and says so if it has another one."""
    address, token = guarded
    least = bootstrap(NomadAccess(address, token=token))

    with pytest.raises(Unavailable, match="this takes a management token"):
        bootstrap(NomadAccess(address, token=least))


async def test_the_least_token_will_do(guarded: tuple[str, str]) -> None:
    """The token that bootstrap makes is enough for the adapter, and opens nothing else.

    A second bootstrap changes nothing.
    """
    address, token = guarded
    manager = {"X-Nomad-Token": token}

    def ask(verb: str, path: str, body: Any, headers: dict[str, str]) -> requests.Response:
        return requests.request(
            verb, f"{address}/v1/{path}", json=body, headers=headers, timeout=10
        )

    ask("PUT", "namespace/other", {"Name": "other"}, manager).raise_for_status()
    administrator = NomadAccess(address, token=token)
    least = bootstrap(administrator)
    assert bootstrap(administrator) == least
    own = {"X-Nomad-Token": least}
    nomad = NomadScheduler(NomadAccess(address, token=least), SITE)
    gateway = NomadGateway(NomadAccess(address, token=least), connections=1)

    evaluation = gateway.register(gateway.parse(jobspec(), variables(SITE, JOB)))

    assert evaluation
    assert gateway.evaluated(evaluation, 10.0)
    assert [presence.burst for presence in await nomad.slots()] == [JOB.burst]
    assert await nomad.capacity("c1") == 0
    assert await nomad.ended(0) == []
    await nomad.stop(JOB.burst)
    parsed = gateway.parse(jobspec(), variables(SITE, JOB))
    bodies = {
        "jobs?namespace=other": {"Job": parsed | {"Namespace": "other"}},
        "var/secret": {"Path": "secret", "Items": {"a": "b"}},
        "acl/policy/mine": {"Name": "mine", "Rules": policy("nomad.hcl")},
        "namespace/mine": {"Name": "mine"},
    }
    said = {
        (verb, path): ask(verb, path, bodies.get(path, {}), own).status_code
        for verb, path in REFUSED
    }
    assert said == dict.fromkeys(REFUSED, 403)
    gateway.close()
    await nomad.close()
