"""The use of images: those that root has changed by hand run slots of their owner only."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from picloud_api.usecases.environments.environment_record import (
    EnvironmentRecord,
    environment_key,
)
from picloud_api.usecases.environments.image_use import ImageUse
from picloud_driver.image.base_only import BaseOnlyImages
from picloud_driver.scheduler import Pool
from picloud_model.errors import RequestRefused
from picloud_model.pack import PYTHON
from picloud_model.wire.environment import Recipe, StoredVersion

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft

    from tests.unit.api.api_harness import ApiHarness

BUILT, SAVED, UNKNOWN = (f"sha256:{digit * 64}" for digit in "123")
BASE = Recipe().digest(PYTHON)
OTHER = "a0000002"


class ContainerImages(BaseOnlyImages):
    """Images in which setup machines are containers, where users are root."""

    machines_are_jobs: ClassVar[bool] = False


@pytest.fixture
async def use(api: ApiHarness) -> ImageUse:
    """The use of an environment of the first account, which has a version of each kind."""
    kinds = {BUILT: False, SAVED: True, BASE: True}
    versions = [
        StoredVersion(
            number=number,
            image=image,
            base="base/x",
            python=PYTHON,
            made_at=0.0,
            recipe=Recipe(),
            saved=saved,
        )
        for number, (image, saved) in enumerate(kinds.items())
    ]

    async def plan(draft: Draft) -> None:
        record = EnvironmentRecord(
            desc="", created_at=0.0, modified_at=0.0, public=True, history=tuple(versions)
        )
        draft.put(environment_key(ACCOUNT, "science"), record)

    await api.server.context.commits.run(plan)
    return ImageUse(api.server.context, ContainerImages("x", PYTHON, ""))


async def test_what_was_changed_by_hand_is_for_its_own_account(use: ImageUse) -> None:
    """Whatever the record of a job says; what a recipe or a base has made is for everybody."""
    with pytest.raises(RequestRefused, match="changed by hand for another account"):
        await use.check(Pool(OTHER, "c1", 1, SAVED))

    await use.check(Pool(ACCOUNT, "c1", 1, SAVED))
    for image in (BUILT, BASE, UNKNOWN, ""):
        await use.check(Pool(OTHER, "c1", 1, image))
