"""What the adapter `nomad` promises beyond the port: machines, identities, a Nomad that dies."""

import asyncio
import contextlib
import copy
import os
import signal
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from picloud_driver.nomad.gateway import NomadAccess, NomadGateway
from picloud_driver.scheduler import Burst, Placement, Pool, SlotPresence
from picloud_driver.scheduler.nomad import NomadScheduler
from picloud_driver.scheduler.nomad_ends import FORGET_S
from picloud_jobspecs.render import SlotJob, SlotSite, fill, jobspec, variables
from picloud_model.errors import NotAllowed, RequestRefused, SlotRefused, Unavailable

from tests.contract.deadline import eventually, until
from tests.contract.nomad_site import NomadSite, revive
from tests.contract.scheduler_adapters import COMMAND, POOL, URL, next_ends, places, started
from tests.servers import running
from tests.servers.process import HOST, binary, free_ports, scratch, server, wait_until

SITE = SlotSite(url=URL, worker=COMMAND)
JOB = SlotJob(burst="pc-1", account=POOL.account, core_type=POOL.core_type)
COLD_S = 1.5
#: An agent that was restarted polls the executors it finds, once a second, for two seconds.
EXECUTOR_S = 2.0


@pytest.fixture
def gateway(nomad_site: NomadSite) -> Iterator[NomadGateway]:
    """To register what the adapter would not."""
    opened = NomadGateway(NomadAccess(nomad_site.address), connections=1)
    yield opened
    opened.close()


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

        [placed, waiting] = await nomad.presences()
        assert (await NomadSite(server.address, server.directory, 0).slot(placed.place)).runs
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
        waiting = await nomad.presences()

    async def placed() -> bool:
        return not (await places(nomad, "pc-1"))[0].startswith("pc-1[")

    await eventually(placed, "the slot got a place")
    assert waiting == [SlotPresence("pc-1", "pc-1[0]", running=False)]
    assert (await nomad_site.slot((await places(nomad, "pc-1"))[0])).runs


async def test_slots_without_a_place_are_stopped(nomad: NomadScheduler) -> None:
    """`stop` takes back the wish for slots that no machine has room for."""
    await nomad.start(Burst("pc-1", POOL, 1000))
    waiting = [place for place in await places(nomad, "pc-1") if place.startswith("pc-1[")]

    await nomad.stop("pc-1")

    assert len(waiting) > 900
    assert await nomad.presences() == []


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
    """Rather than wait for ever: the sentence says what it takes."""
    burst = Burst("pc-1", Pool("a0000001", "m1", 1000), 1)

    with pytest.raises(RequestRefused, match="1300000 MHz and 8000000 MB"):
        await nomad.start(burst)


# --- what operators see ---------------------------------------------------------------------------


async def test_operators_see_bursts_by_name(nomad_site: NomadSite, nomad: NomadScheduler) -> None:
    """`nomad job status` lists a burst by its name, `nomad alloc logs` what its slot said."""
    name = "pc-a0000001-000000000042-0badcafe"
    [place] = await started(nomad, name)
    await (await nomad_site.slot(place)).obey("say the last words")

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


# --- identities -----------------------------------------------------------------------------------


async def test_only_the_slots_user_can_read_the_proof(
    nomad_site: NomadSite, nomad: NomadScheduler
) -> None:
    """The proof's file is its owner's alone; so is what the slot writes."""
    [place] = await started(nomad)
    slot = await nomad_site.slot(place)

    files = [Path(slot.seen["descriptors"]["3"]), slot.directory / "seen.json"]

    assert [(path.owner(), stat.filemode(path.stat().st_mode)) for path in files] == [
        ("root", "-rw-------"),
        ("root", "-rw-------"),
    ]


def _other_audience(job: dict[str, Any]) -> None:
    job["TaskGroups"][0]["Tasks"][0]["Identities"][0]["Audience"] = ["picloud-work"]


def _other_name(job: dict[str, Any]) -> None:
    job["ID"] = job["Name"] = "api"


def _other_task(job: dict[str, Any]) -> None:
    job["TaskGroups"][0]["Tasks"][0]["Name"] = "sidecar"


def _no_pool(job: dict[str, Any]) -> None:
    job["Meta"] = {"slots": "1"}


@pytest.mark.parametrize("change", [_other_audience, _other_name, _other_task, _no_pool])
async def test_other_identities_of_nomads_are_refused(
    nomad_site: NomadSite,
    nomad: NomadScheduler,
    gateway: NomadGateway,
    change: Callable[[dict[str, Any]], None],
) -> None:
    """Signed by Nomad, but for somebody else, or of what is no slot: proves nothing."""
    job = copy.deepcopy(gateway.parse(jobspec(), variables(SITE, JOB)))
    change(job)

    gateway.register(job)

    def proofs() -> list[str]:
        found = nomad_site.directory.glob("data/alloc/*/*/secrets/nomad_picloud.jwt")
        return [text for path in found if (text := path.read_text())]

    await until(lambda: len(proofs()) == 1, "Nomad has signed an identity")
    [proof] = proofs()
    with pytest.raises(SlotRefused):
        await nomad.verify(proof)


async def test_a_pool_is_what_nomad_says(nomad_site: NomadSite, nomad: NomadScheduler) -> None:
    """Account, core type and cores of a slot are those its burst was started with."""
    pool = Pool("a-other_1", "c2", 2)
    await nomad.start(Burst("pc-1", pool, 1))
    [place] = await places(nomad, "pc-1")

    proof = (await nomad_site.slot(place)).proof

    assert await nomad.verify(proof) == Placement("pc-1", place, pool)


async def test_a_slot_that_is_to_end_is_refused(
    nomad_site: NomadSite, nomad: NomadScheduler, gateway: NomadGateway
) -> None:
    """From `stop` on its proof is worth nothing, though it may take two seconds to end."""
    [place] = await started(nomad)
    slot = await nomad_site.slot(place)
    await slot.obey("deaf")

    evaluation = gateway.deregister("pc-1")

    assert evaluation
    assert gateway.evaluated(evaluation, 10.0)
    assert slot.runs
    with pytest.raises(SlotRefused):
        await nomad.verify(slot.proof)


async def test_keys_are_asked_for_once(nomad_site: NomadSite, nomad: NomadScheduler) -> None:
    """However many proofs come, of known keys or of unknown ones, Nomad hears of few."""
    [place] = await started(nomad)
    slot = await nomad_site.slot(place)
    asked = []
    identities = nomad._identities
    fetch = identities._fetch
    identities._fetch = lambda: asked.append(1) or fetch()
    unknown = jwt.encode({"aud": "picloud-slot"}, bytes(32), "HS256", {"kid": "unknown"})

    for _ in range(20):
        await nomad.verify(slot.proof)
        with pytest.raises(SlotRefused):
            await nomad.verify(unknown)

    assert len(asked) <= 2


# --- a Nomad that dies, and what is left ----------------------------------------------------------


async def test_ends_are_told_after_nomad_was_killed(
    nomad_server: running.Nomad, nomad_site: NomadSite, nomad: NomadScheduler
) -> None:
    """Slots go on without Nomad's agent; ends during and after its absence are told."""
    first, second = sorted(await started(nomad, "pc-1", 2))
    slots = [await nomad_site.slot(place) for place in (first, second)]
    assert list(await nomad.ended(0)) == []

    nomad_site.break_off()
    with pytest.raises(Unavailable):
        await nomad.ended(5.0)
    survived = [slot.runs for slot in slots]
    slots[0].kill()
    await asyncio.to_thread(revive, nomad_server)
    during = await _next_end(nomad)
    os.kill(slots[1].pid, signal.SIGKILL)
    killed = time.monotonic()
    after = await _next_end(nomad)
    took_s = time.monotonic() - killed

    assert survived == [True, True]
    assert (during.place, after.place) == (first, second)
    assert (during.clean, after.clean) == (False, False)
    assert took_s < nomad_site.hears_within_s + EXECUTOR_S


async def _next_end(nomad: NomadScheduler) -> Any:
    """The next end, whatever Nomad's absence makes `ended` raise until then."""
    async with asyncio.timeout(30.0):
        while True:
            with contextlib.suppress(Unavailable):
                return (await next_ends(nomad))[0]
            await asyncio.sleep(0.1)


async def test_ends_are_found_without_events(nomad_site: NomadSite) -> None:
    """What no event has told is found by looking at all allocations."""
    nomad = nomad_site.open()
    [place] = await started(nomad)
    slot = await nomad_site.slot(place)
    await nomad.ended(0)
    follower = nomad._ends._follower
    assert follower is not None
    await asyncio.to_thread(follower.close)
    slot.kill()

    async def told() -> bool:
        await nomad._ends.look()
        return [end.place for end in await nomad.ended(0.05)] == [place]

    await eventually(told, "the end is told")
    await nomad.close()


async def test_every_process_hears_of_every_end(
    nomad_site: NomadSite, nomad: NomadScheduler
) -> None:
    """Each server process has its own waiters, so each is told."""
    other = nomad_site.open()
    [place] = await started(nomad)
    slot = await nomad_site.slot(place)

    slot.tell("exit 0")

    heard = [[end.place for end in await next_ends(port)] for port in (nomad, other)]
    assert heard == [[place], [place]]
    await other.close()


async def test_bursts_that_are_over_are_forgotten(
    nomad_site: NomadSite, nomad: NomadScheduler, gateway: NomadGateway
) -> None:
    """Nomad keeps a burst for ten minutes after its last slot, then it is purged; others stay."""
    [place] = await started(nomad, "pc-1")
    await started(nomad, "pc-2")
    (await nomad_site.slot(place)).tell("exit 0")
    await next_ends(nomad)

    async def over() -> bool:
        await nomad._ends.look()
        return any(job.status == "dead" for job in gateway.jobs("pc-"))

    await eventually(over, "Nomad sees that the burst is over")
    await nomad._ends.look()
    nomad_site.late_s = FORGET_S - 60
    await nomad._ends.look()
    before = [job.id for job in gateway.jobs("pc-")]
    nomad_site.late_s = FORGET_S + 60
    await nomad._ends.look()

    assert before == ["pc-1", "pc-2"]
    assert [job.id for job in gateway.jobs("pc-")] == ["pc-2"]


# --- access ---------------------------------------------------------------------------------------


async def test_the_environment_does_not_matter(
    nomad_site: NomadSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses, tokens, proxies and certificates in the environment are somebody else's."""
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
    """Without one, one sentence says what it has to allow; with one, Nomad answers."""
    address, token = guarded
    stranger = NomadScheduler(NomadAccess(address), SITE)
    known = NomadScheduler(NomadAccess(address, token=token), SITE)

    for asked in (stranger.presences(), stranger.capacity("c1"), stranger.ended(0)):
        with pytest.raises(NotAllowed, match="it has to allow submit-job"):
            await asked

    assert await known.presences() == []
    assert await known.ended(0) == []
    assert token not in repr(known) + repr(NomadAccess(address, token=token))
    await stranger.close()
    await known.close()
