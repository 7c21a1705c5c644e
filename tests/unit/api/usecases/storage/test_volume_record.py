"""Records of volumes: which of them jobs may have together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.storage.volume_record import check_volumes
from picloud_model.errors import RequestRefused
from picloud_model.wire.volume import CreateVolumeRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"


async def test_jobs_name_volumes_that_exist_at_different_paths(api: ApiHarness) -> None:
    """The message names the volume, or both and their paths."""
    volumes, view = api.use_cases.storage.volumes, api.server.context.commits.view
    for name, path in (
        ("a", "/data"),
        ("b", "/data/sets"),
        ("c", "/database"),
        ("A", "/x"),
        ("data2", "/y"),
    ):
        await volumes.create(ACCOUNT, CreateVolumeRequest(name=name, mount_path=path))

    await check_volumes(view, ACCOUNT, ["a", "c", "a"])
    for account, names, message in (
        (ACCOUNT, ["x"], "no volume 'x' in your account: create it first"),
        (ACCOUNT, ["database"], "no volume 'database' in your account; did you mean 'data2'"),
        (OTHER, ["a"], "no volume 'a' in your account"),
        (ACCOUNT, ["../a"], "no volume"),
        (ACCOUNT, ["a", "A"], "both would set the variable PICLOUD_VOLUME_A"),
        (ACCOUNT, ["a", "b"], "'a' and 'b' cannot be in one job: .* /data and /data/sets"),
    ):
        with pytest.raises(RequestRefused, match=message) as refused:
            await check_volumes(view, account, names)
        assert refused.value.field == "options.vols"
