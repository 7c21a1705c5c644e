"""Setup machines: opened, saved as versions of their environments, and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_driver.image.venv import VenvImages
from picloud_model.errors import EnvironmentNotFound, RequestConflict, RequestRefused
from picloud_model.wire import environment as environment_wire
from picloud_model.wire import setup_machine as wire

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.usecases.environments.building import build, ended, image_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

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

    assert (new.status, new.versions, new.has_setup) == ("new", [], True)
    assert (machine.env, machine.jid, machine.state) == ("setup/plots", None, "ready")
    assert [each.number for each in first.versions] == [1]
    assert again.versions == first.versions
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
