"""Environments: only the base exists yet."""

from __future__ import annotations

import pytest
from picloud_api.usecases.environment import image_of
from picloud_model.errors import RequestRefused


def test_a_job_without_an_environment_runs_in_the_base() -> None:
    """The base has no image of its own."""
    assert image_of(None) == ""


def test_an_environment_that_does_not_exist_is_named() -> None:
    """The message names it, and the option to leave out."""
    with pytest.raises(RequestRefused, match=r"no environment 'mine' in .*leave out _env") as error:
        image_of("mine")

    assert error.value.field == "options.env"
