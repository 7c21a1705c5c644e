"""The sweep of images: what is needed stays, what is not goes after a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_driver.image import ImageState
from picloud_model.pack import PYTHON
from picloud_model.wire.environment import Recipe

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.usecases.environments.building import build, image_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

DAY_S = 86_400.0


async def test_an_image_is_removed_a_day_after_nothing_needs_it(api: ApiHarness) -> None:
    """Versions in a history need theirs, and unfinished jobs what they were submitted with."""
    environments = api.use_cases.environments
    await build(api, "base-like")
    for number in ("1", "2"):
        await build(api, "science", a=number)
    needed = {
        each.image for each in (await environments.environments.get(ACCOUNT, "science")).versions
    }
    await build(api, "gone", a="3")
    unneeded = await image_of(api, "gone")
    await environments.environments.delete(ACCOUNT, "gone")

    assert await environments.sweep.sweep(DAY_S) == 0
    api.now += DAY_S
    assert await environments.sweep.sweep(DAY_S) == 1

    images = api.server.ports.images
    assert (await images.find(unneeded)).state is ImageState.ABSENT
    await environments.environments.delete(ACCOUNT, "base-like")
    [current] = {await image_of(api, "science")}
    await api.submit(1, env="science")
    await api.server.background.blob_sweeper.sweep()
    api.now += DAY_S
    await api.server.background.blob_sweeper.sweep()
    assert needed | {Recipe().digest(PYTHON)} == {*await images.names()}
    assert current in needed
