"""Setup machines: opened, saved as versions of their environments, and closed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.usecases.environments.setup_machine import MOST_OPEN
from picloud_driver.image.venv import VenvImages
from picloud_model.errors import EnvironmentNotFound, RequestConflict, RequestRefused
from picloud_model.wire import environment as environment_wire
from picloud_model.wire import setup_machine as wire

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.usecases.environments.building import build, ended, image_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

KEY = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}"
OTHER = "a0000002"


async def opened(api: ApiHarness, name: str, base: str | None = None) -> wire.SetupMachine:
    """Open a machine, and wait until it is ready."""
    machines = api.use_cases.setup_machines
    await machines.open(ACCOUNT, wire.OpenSetupRequest(name=name, base=base))

    async def ready() -> wire.SetupMachine | None:
        machine = await machines.get(ACCOUNT, name)
        return machine if machine.state == "ready" else None

    machine = await eventually(ready, "the machine is ready")
    assert machine is not None
    return machine


async def saved(api: ApiHarness, name: str) -> environment_wire.Environment:
    """Save a machine, and wait until the version is stored."""
    await api.use_cases.setup_machines.save(ACCOUNT, wire.SaveSetupRequest(name=name))
    return await ended(api, name)


async def test_what_a_machine_has_become_is_a_version(api: ApiHarness) -> None:
    """Its recipe lists the packages; without a change there is no new version."""
    environments = api.use_cases.environments.environments
    base = (await environments.bases()).bases[0].name
    machine = await opened(api, "plots", base)
    new = await environments.get(ACCOUNT, "plots")
    with pytest.raises(RequestConflict, match="has not been saved yet; picloud env save plots"):
        await image_of(api, "plots")
    first = await saved(api, "plots")
    again = await saved(api, "plots")
    images = api.server.ports.images
    assert isinstance(images, VenvImages)
    (images.folder.image(await image_of(api, machine.env)) / "note").write_text("1")
    second = await saved(api, "plots")
    await api.use_cases.setup_machines.close(ACCOUNT, wire.CloseSetupRequest(name="plots"))
    await opened(api, "plots")
    unchanged = await saved(api, "plots")

    assert (new.status, new.versions, new.has_setup) == ("new", [], True)
    assert (machine.env, machine.jid, machine.state) == ("setup/plots", None, "ready")
    assert [each.number for each in first.versions] == [1]
    assert again.versions == first.versions
    assert unchanged.versions == second.versions
    assert [(each.number, each.base, each.saved) for each in second.versions] == [
        (1, base, True),
        (2, base, True),
    ]
    assert second.versions[1].recipe == environment_wire.Recipe(base=base)
    assert await image_of(api, "plots") == second.versions[1].image


async def test_the_job_of_a_machine_ends_with_it(api: ApiHarness) -> None:
    """Until then the environment keeps its name, and the sweep keeps the files."""
    machines, environments = api.use_cases.setup_machines, api.use_cases.environments
    await build(api, "plots", a="1")
    machine = await opened(api, "plots")
    image = await image_of(api, machine.env)
    [jid] = await api.submit(1, env=machine.env)

    assert (await opened(api, "plots")).jid == jid
    assert await environments.sweep.sweep(0) == 0
    delete = environments.environments.delete(ACCOUNT, "plots")
    rename = environments.environments.edit(
        ACCOUNT, environment_wire.EditEnvironmentRequest(name="plots", new_name="x")
    )
    for call in (delete, rename):
        with pytest.raises(RequestConflict, match="has a setup machine; picloud env shutdown"):
            await call
    close = wire.CloseSetupRequest(name="plots")
    await machines.close(ACCOUNT, close)
    assert await api.statuses(range(jid, jid + 1)) == ["killed"]
    for call in (
        machines.get(ACCOUNT, "plots"),
        machines.save(ACCOUNT, wire.SaveSetupRequest(name="plots")),
        machines.close(ACCOUNT, close),
        image_of(api, machine.env),
    ):
        with pytest.raises(RequestConflict, match="has no setup machine; picloud env modify"):
            await call
    assert (await opened(api, "plots")).jid is None
    assert await image_of(api, machine.env) != image


async def test_a_machine_that_was_lost_begins_again_as_what_was_saved(api: ApiHarness) -> None:
    """The answer to the request that opens it says so, once."""
    machines, images = api.use_cases.setup_machines, api.server.ports.images
    await build(api, "plots", a="1")
    machine = await opened(api, "plots")
    lost = await image_of(api, machine.env)
    assert isinstance(images, VenvImages)
    (images.folder.image(lost) / "note").write_text("1")
    await images.remove(lost)
    request = wire.OpenSetupRequest(name="plots")

    assert (await machines.open(ACCOUNT, request)).lost
    await opened(api, "plots")
    assert not (await machines.open(ACCOUNT, request)).lost
    assert (images.folder.image(lost) / "a").read_text() == "1"
    assert not (images.folder.image(lost) / "note").exists()


async def test_only_what_can_be_changed_has_a_machine(api: ApiHarness) -> None:
    """A name that is taken, an unknown base, and environments of others are refused."""
    machines, environments = api.use_cases.setup_machines, api.use_cases.environments
    path = (await build(api, "plots", a="1")).path
    base = (await environments.environments.bases()).bases[0].name
    await opened(api, "plots")

    for name, wanted, problem in (
        ("plots", base, "already an environment 'plots'"),
        ("other", "base/lenny", "no base 'base/lenny' on this server; there are"),
    ):
        with pytest.raises(RequestRefused, match=problem):
            await machines.open(ACCOUNT, wire.OpenSetupRequest(name=name, base=wanted))
    for call in (
        machines.open(OTHER, wire.OpenSetupRequest(name="plots")),
        machines.open(OTHER, wire.OpenSetupRequest(name=path)),
        machines.close(OTHER, wire.CloseSetupRequest(name="plots")),
    ):
        with pytest.raises(EnvironmentNotFound):
            await call
    with pytest.raises(RequestRefused, match="no environment 'plots'"):
        await image_of(api, "setup/plots", OTHER)


async def test_a_machine_in_a_container_takes_shells_and_no_jobs(api: ApiHarness) -> None:
    """It is removed when it is closed, has a key of its own, and an account has a few of them."""
    machines, images = api.use_cases.setup_machines, api.server.ports.images
    images.machines_are_jobs = False
    base = (await api.use_cases.environments.environments.bases()).bases[0].name
    names = [f"plots-{number}" for number in range(MOST_OPEN)]
    opened_machines = await asyncio.gather(*(opened(api, name, base) for name in names))
    setups = [
        wire.SetupCertificateRequest(name=each.name, public_key=KEY) for each in opened_machines
    ]
    issued = [await machines.certify(ACCOUNT, each) for each in setups[:2]]

    assert [(each.is_job, each.jid) for each in opened_machines] == [(False, None)] * MOST_OPEN
    assert issued[0].host_key != issued[1].host_key
    await machines.close(ACCOUNT, wire.CloseSetupRequest(name="plots-3"))
    more = [wire.OpenSetupRequest(name=f"more-{number}", base=base) for number in range(3)]
    answers = await asyncio.gather(
        *(machines.open(ACCOUNT, each) for each in more), return_exceptions=True
    )
    refused = [str(each) for each in answers if isinstance(each, RequestConflict)]
    assert len(refused) == 2
    assert all("up to 4 setup machines at a time, yours are of" in each for each in refused)
    with pytest.raises(RequestConflict, match="No job runs in the setup machine of 'plots-0'"):
        await image_of(api, "setup/plots-0")
    with pytest.raises(EnvironmentNotFound):
        await machines.certify(OTHER, setups[0])
    before = await images.names()
    await machines.close(ACCOUNT, wire.CloseSetupRequest(name="plots-0"))
    assert len(await images.names()) == len(before) - 1
    with pytest.raises(RequestConflict, match="has no setup machine"):
        await machines.certify(ACCOUNT, setups[0])


async def test_packages_that_no_recipe_may_name_are_not_stored(api: ApiHarness) -> None:
    """The machine lists them, which a user has changed; all accounts read what is stored."""
    environments, images = api.use_cases.environments.environments, api.server.ports.images
    base = (await environments.bases()).bases[0].name
    machine = await opened(api, "plots", base)
    assert isinstance(images, VenvImages)
    (packages,) = images.folder.image(await image_of(api, machine.env)).glob("lib/*/site-packages")
    package = packages / "gadget-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: gadget\nVersion: 1.0\n")
    url = f"https://example.org/{'x' * 500}.whl"
    (package / "direct_url.json").write_text(json.dumps({"url": url, "archive_info": {}}))
    shown = await saved(api, "plots")

    assert shown.packages == [f"gadget @ {url}"]
    assert shown.versions[0].recipe == environment_wire.Recipe(base=base)
    assert msgspec.convert(msgspec.to_builtins(shown), environment_wire.Environment) == shown


async def test_what_root_has_changed_is_for_its_own_account(api: ApiHarness) -> None:
    """Neither made public nor cloned nor run by others: the supervisor there may be changed, too.

    What is built from a recipe can be public before and afterwards.
    """
    environments = api.use_cases.environments.environments
    publish = environment_wire.PublishEnvironmentRequest(name="plots", public=True)
    path = f"/{ACCOUNT}/plots"
    await build(api, "plots", a="1")
    machine, images = await opened(api, "plots"), api.server.ports.images
    assert isinstance(images, VenvImages)
    (images.folder.image(await image_of(api, machine.env)) / "note").write_text("1")
    await saved(api, "plots")
    await environments.publish(ACCOUNT, publish)
    assert await image_of(api, path, OTHER)

    images.machines_are_jobs = False
    roll_back = environment_wire.RollBackEnvironmentRequest(name="plots", number=2)
    clone = environment_wire.CloneEnvironmentRequest(name="mine", parent=path)
    refused = [
        image_of(api, path, OTHER),
        environments.clone(OTHER, clone),
        environments.publish(ACCOUNT, publish),
        api.use_cases.setup_machines.save(ACCOUNT, wire.SaveSetupRequest(name="plots")),
        environments.roll_back(ACCOUNT, roll_back),
    ]
    for call in refused:
        with pytest.raises(RequestConflict, match="by hand in 'plots' is for its own account only"):
            await call
    assert await image_of(api, "plots")
    rolled_back = await environments.roll_back(
        ACCOUNT, environment_wire.RollBackEnvironmentRequest(name="plots", number=1)
    )
    assert [each.saved for each in rolled_back.versions] == [False, True, False]
    await environments.publish(ACCOUNT, publish)
    assert await image_of(api, path, OTHER)


async def test_shells_of_machines_that_are_jobs_are_those_of_jobs(api: ApiHarness) -> None:
    """The request for another one is refused, and says which command reaches the machine."""
    base = (await api.use_cases.environments.environments.bases()).bases[0].name
    await opened(api, "plots", base)
    machines = api.use_cases.setup_machines

    for call in (
        machines.open_shell(ACCOUNT, wire.SetupShellRequest(name="plots")),
        machines.certify(ACCOUNT, wire.SetupCertificateRequest(name="plots", public_key=KEY)),
    ):
        with pytest.raises(RequestConflict, match="picloud ssh JID reaches them"):
            await call
