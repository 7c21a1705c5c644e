"""Environments: versions of what recipes build, found by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import EnvironmentNotFound, RequestRefused, TooLarge
from picloud_model.wire import environment as wire

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.usecases.environments.building import build, image_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"


async def test_a_build_is_a_version_that_new_jobs_run_in(api: ApiHarness) -> None:
    """Equal recipes are one version; a failed build leaves the current one."""
    first = await build(api, "science", a="1")
    one = await image_of(api, "science")
    again = await build(api, "science", a="1")
    second = await build(api, "science", a="2")

    assert (first.status, again.versions) == ("ready", first.versions)
    assert [each.number for each in second.versions] == [1, 2]
    assert await image_of(api, "science") == second.versions[-1].image != one
    environments = api.use_cases.environments.environments
    failing = wire.Recipe(test=["no-such-program"])
    request = wire.BuildEnvironmentRequest(name="science", recipe=failing)
    await environments.build(ACCOUNT, request)
    log = await environments.log(
        ACCOUNT, wire.EnvironmentLogRequest(name="science", offset=10**6, timeout_s=30)
    )
    assert (log.status, "no program" in log.problem) == ("failed", True)
    assert await image_of(api, "science") == second.versions[-1].image


async def test_an_earlier_version_can_be_the_current_one_again(api: ApiHarness) -> None:
    """It becomes the next version, so that the history says what jobs ran in."""
    environments = api.use_cases.environments.environments
    await build(api, "science", a="1")
    one = await image_of(api, "science")
    await build(api, "science", a="2")

    request = wire.RollBackEnvironmentRequest(name="science", number=1)
    shown = await environments.roll_back(ACCOUNT, request)
    await environments.roll_back(ACCOUNT, request)

    assert [each.number for each in shown.versions] == [1, 2, 3]
    assert await image_of(api, "science") == one
    with pytest.raises(RequestRefused, match=r"no version 9; there are: 1, 2, 3\."):
        await environments.roll_back(
            ACCOUNT, wire.RollBackEnvironmentRequest(name="science", number=9)
        )


async def test_others_find_an_environment_only_while_it_is_public(api: ApiHarness) -> None:
    """They may run jobs in it and clone it, and a clone stays."""
    environments = api.use_cases.environments.environments
    path = (await build(api, "science", a="1")).path
    clone = wire.CloneEnvironmentRequest(parent=path, name="mine")
    for call in (image_of(api, path, OTHER), environments.clone(OTHER, clone)):
        with pytest.raises((RequestRefused, EnvironmentNotFound), match="no public environment"):
            await call

    publish = wire.PublishEnvironmentRequest(name="science", public=True)
    await environments.publish(ACCOUNT, publish)
    await environments.clone(OTHER, clone)
    assert await image_of(api, path, OTHER) == await image_of(api, "science")
    listed = await environments.list(OTHER, public=True)
    assert [each.path for each in listed.environments] == [path]
    await environments.delete(ACCOUNT, "science")

    assert (await environments.get(OTHER, "mine")).status == "ready"
    assert await image_of(api, "mine", OTHER)
    with pytest.raises(RequestRefused, match="no public environment"):
        await image_of(api, path, OTHER)


async def test_jobs_keep_the_environment_that_they_were_submitted_with(api: ApiHarness) -> None:
    """Pools are keyed by the image; jobs that are not done keep an environment from deletion."""
    environments = api.use_cases.environments.environments
    await build(api, "science", a="1")
    one = await image_of(api, "science")
    [jid] = await api.submit(1, env="science")
    await build(api, "science", a="2")
    pools = api.server.context.ready_queue.pools()

    assert [pool.image for pool in pools] == [one]
    with pytest.raises(RequestRefused, match=f"'science' is in use by job {jid}"):
        await environments.delete(ACCOUNT, "science")
    with pytest.raises(RequestRefused, match="in use"):
        await environments.edit(
            ACCOUNT, wire.EditEnvironmentRequest(name="science", new_name="other")
        )


async def test_info_can_be_edited(api: ApiHarness) -> None:
    """Name and description; a name that is taken is refused."""
    environments = api.use_cases.environments.environments
    for name in ("one", "two"):
        await build(api, name, a="1")
    edit = wire.EditEnvironmentRequest(name="one", new_name="three", new_desc="mine")

    shown = await environments.edit(ACCOUNT, edit)

    assert (shown.name, shown.desc, shown.status) == ("three", "mine", "ready")
    with pytest.raises(RequestRefused, match="already an environment 'two'"):
        await environments.edit(ACCOUNT, wire.EditEnvironmentRequest(name="three", new_name="two"))
    with pytest.raises(EnvironmentNotFound, match="no environment 'one'"):
        await environments.get(ACCOUNT, "one")


async def test_a_recipe_is_checked_before_anything_is_stored(api: ApiHarness) -> None:
    """Its size, its base, and what the images refuse."""
    environments = api.use_cases.environments.environments
    wrong: list[tuple[type[RequestRefused], wire.Recipe]] = [
        (TooLarge, wire.Recipe(files={"a": "x" * wire.MAX_RECIPE_BYTES})),
        (RequestRefused, wire.Recipe(base="base/lenny")),
        (RequestRefused, wire.Recipe(apt=["vim"])),
    ]
    for error, recipe in wrong:
        with pytest.raises(error):
            await environments.build(ACCOUNT, wire.BuildEnvironmentRequest(name="a", recipe=recipe))

    assert (await environments.list(ACCOUNT, public=False)).environments == []
