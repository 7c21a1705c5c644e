"""The fetch of images: where an environment ran, its next version is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.usecases.environments.image_fetch import ImageFetch
from picloud_model.errors import Unavailable

from tests.polling import eventually
from tests.unit.api.usecases.environments.building import build, image_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_the_next_version_is_fetched_where_the_last_one_ran(api: ApiHarness) -> None:
    """The first version replaces nothing, and an equal one is none."""
    await build(api, "science", a="1")
    first = await image_of(api, "science")
    assert api.scheduler.fetched == []

    await build(api, "science", a="2")
    second = await image_of(api, "science")
    await build(api, "science", a="2")

    await eventually(lambda: api.scheduler.fetched, "the next version is fetched")
    assert api.scheduler.fetched == [(second, first)]


async def test_a_fetch_that_fails_fails_nothing_else(api: ApiHarness) -> None:
    """Slots fetch their image when they start."""
    api.scheduler.failure = Unavailable("no Nomad")
    fetch = ImageFetch(api.scheduler)

    fetch.begin("sha256:1", "sha256:2")
    await eventually(lambda: not fetch._tasks, "the fetch has ended")

    assert api.scheduler.fetched == []
