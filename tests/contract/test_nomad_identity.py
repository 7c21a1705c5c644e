"""Whom the adapter `nomad` believes."""

import copy
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from picloud_driver.nomad.gateway import NomadAccess, NomadGateway
from picloud_driver.scheduler import Burst, Placement, Pool
from picloud_driver.scheduler.nomad.scheduler import NomadScheduler
from picloud_jobspecs.render import jobspec, variables
from picloud_model.errors import SlotRefused

from tests.contract.nomad_site import JOB, SITE, NomadSite
from tests.contract.scheduler_adapters import places, started
from tests.polling import eventually


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


async def proof_of(site: NomadSite, place: str) -> str:
    """The identity that Nomad writes for an allocation."""

    def proofs() -> list[str]:
        found = site.directory.glob(f"data/alloc/{place}/*/secrets/nomad_picloud.jwt")
        return [text for path in found if (text := path.read_text())]

    await eventually(lambda: len(proofs()) == 1, "Nomad has signed an identity")
    return proofs()[0]


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
    nomad_gateway: NomadGateway,
    change: Callable[[dict[str, Any]], None],
) -> None:
    """An identity for another audience, or of a task that is not a slot, proves nothing."""
    job = copy.deepcopy(nomad_gateway.parse(jobspec(), variables(SITE, JOB)))
    change(job)

    evaluation = nomad_gateway.register(job)
    assert evaluation
    assert nomad_gateway.evaluated(evaluation, 10.0)
    found, _ = nomad_gateway.allocations_of(job["ID"])
    [place] = [allocation.id for allocation in found if not allocation.ended]

    with pytest.raises(SlotRefused):
        await nomad.verify(await proof_of(nomad_site, place))


async def test_slots_of_another_namespace_are_refused(
    nomad_site: NomadSite, nomad: NomadScheduler
) -> None:
    """A namespace is another server's, with accounts of its own."""
    nomad_site.make_namespace("other")
    other = NomadScheduler(NomadAccess(nomad_site.address, namespace="other"), SITE)

    [place] = await started(other)

    proof = await proof_of(nomad_site, place)
    assert (await other.verify(proof)).place == place
    with pytest.raises(SlotRefused):
        await nomad.verify(proof)
    assert await nomad.slots() == []
    await other.close()


async def test_a_pool_is_what_nomad_says(nomad_site: NomadSite, nomad: NomadScheduler) -> None:
    """Account, core type and cores of a slot are those its burst was started with."""
    pool = Pool("a-other_1", "c2", 2)
    await nomad.start(Burst("pc-1", pool, 1))
    [place] = await places(nomad, "pc-1")

    proof = (await nomad_site.slot(place)).proof

    assert await nomad.verify(proof) == Placement("pc-1", place, pool)


async def test_an_identity_of_the_future_is_refused(
    nomad_site: NomadSite, nomad: NomadScheduler
) -> None:
    """By a minute Nomad's clock may be ahead of ours, not by more."""
    [place] = await started(nomad)
    proof = (await nomad_site.slot(place)).proof

    nomad_site.late_s = -50
    assert (await nomad.verify(proof)).place == place
    nomad_site.late_s = -120
    with pytest.raises(SlotRefused):
        await nomad.verify(proof)


async def test_a_slot_that_is_to_end_is_refused(
    nomad_site: NomadSite, nomad: NomadScheduler, nomad_gateway: NomadGateway
) -> None:
    """From `stop` on its proof is worth nothing, though it may take two seconds to end."""
    [place] = await started(nomad)
    slot = await nomad_site.slot(place)
    await slot.carry_out("deaf")

    evaluation = nomad_gateway.deregister("pc-1")

    assert evaluation
    assert nomad_gateway.evaluated(evaluation, 10.0)
    assert slot.is_running
    with pytest.raises(SlotRefused):
        await nomad.verify(slot.proof)


async def test_keys_are_fetched_once(nomad_site: NomadSite, nomad: NomadScheduler) -> None:
    """However many proofs come, with known or unknown keys, Nomad gets one request a second."""
    [place] = await started(nomad)
    slot = await nomad_site.slot(place)
    asked = []
    identities = nomad._identities
    fetch = identities._fetch
    identities._fetch = lambda: asked.append(1) or fetch()
    unknown = jwt.encode({"aud": "picloud-slot"}, bytes(32), "HS256", {"kid": "unknown"})

    began = time.monotonic()
    for _ in range(20):
        await nomad.verify(slot.proof)
        with pytest.raises(SlotRefused):
            await nomad.verify(unknown)

    assert len(asked) <= 2 + (time.monotonic() - began)
