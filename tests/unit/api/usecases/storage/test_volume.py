"""Volumes: none exists yet."""

from __future__ import annotations

import pytest
from picloud_api.usecases.storage.volume import check_volumes
from picloud_model.errors import RequestRefused


def test_no_volumes_are_accepted() -> None:
    """A job without volumes is accepted."""
    check_volumes([])


def test_a_volume_that_does_not_exist_is_named() -> None:
    """The message names the first one, cut to a readable length, and the option to leave out."""
    with pytest.raises(
        RequestRefused, match=f"no volume '{'v' * 40}' in .*leave out _vol"
    ) as error:
        check_volumes(["v" * 100, "w"])

    assert error.value.field == "options.vols"
