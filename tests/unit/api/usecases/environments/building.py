"""Builds environments for tests of their use cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.pack import PYTHON
from picloud_model.wire import environment as wire

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def build(api: ApiHarness, name: str, base: str = "", **files: str) -> wire.Environment:
    """Build an environment whose recipe has at most a base and files, and wait for the end."""
    environments = api.use_cases.environments.environments
    recipe = wire.Recipe(base=base, files=files)
    await environments.build(ACCOUNT, wire.BuildEnvironmentRequest(name=name, recipe=recipe))
    return await ended(api, name)


async def ended(api: ApiHarness, name: str) -> wire.Environment:
    """Wait until the latest build of an environment has ended, and return what is known of it."""

    async def shown_ended() -> wire.Environment | None:
        shown = await api.use_cases.environments.environments.get(ACCOUNT, name)
        return shown if shown.status != "building" else None

    shown = await eventually(shown_ended, "the build has ended")
    assert shown is not None
    return shown


async def image_of(api: ApiHarness, name: str | None, account: str = ACCOUNT) -> str:
    """Return the image that jobs of an account would run in."""
    return await api.use_cases.environments.choice.image_of(account, name, PYTHON)
