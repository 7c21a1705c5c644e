"""The choice of an environment: names, bases, Pythons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.environments.environment_choice import EnvironmentChoice, base_named
from picloud_api.usecases.environments.image_fetch import ImageFetch
from picloud_driver.image.base_only import BaseOnlyImages
from picloud_model.errors import RequestRefused
from picloud_model.pack import PYTHON
from picloud_model.wire.environment import EnvironmentBase

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.usecases.environments.building import build, image_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.api.api_harness import ApiHarness


class TwoBases(BaseOnlyImages):
    """A server with this Python and an old one."""

    def __init__(self) -> None:
        super().__init__(f"python{PYTHON}", PYTHON, "")

    async def bases(self) -> Sequence[EnvironmentBase]:
        return [self.default_base, EnvironmentBase(name="base/python3.1", python="3.1")]


async def test_a_name_that_does_not_exist_is_refused_with_a_similar_one(api: ApiHarness) -> None:
    """A submit names the option; a base that there is not is refused with those there are."""
    await build(api, "science", a="1")

    with pytest.raises(RequestRefused, match="'sciense' in your account; did you mean") as error:
        await image_of(api, "sciense")
    assert error.value.field == "options.env"
    with pytest.raises(RequestRefused, match="no base 'base/lenny' on this server; there are"):
        await image_of(api, "base/lenny")
    assert await image_of(api, f"base/python{PYTHON}") == await image_of(api, None) == ""


async def test_an_environment_with_another_python_is_refused_with_the_base_that_fits(
    api: ApiHarness,
) -> None:
    """Or, where none fits, with those that there are; a base is refused in the same way."""
    choice = EnvironmentChoice(api.server.context, TwoBases(), ImageFetch(api.scheduler))
    await build(api, "science", a="1")
    refused = r"'science' has Python .*; base/python3\.1 has that version: build the environment on"
    with pytest.raises(RequestRefused, match=refused):
        await choice.image_of(ACCOUNT, "science", "3.1")
    with pytest.raises(RequestRefused, match=r"base/python3\.1 has that version: name that one\.$"):
        await choice.image_of(ACCOUNT, f"base/python{PYTHON}", "3.1")

    with pytest.raises(RequestRefused, match=r"no base of this server has that version; .*3\.1\)"):
        await choice.image_of(ACCOUNT, "science", "3.2")


@pytest.mark.parametrize("name", ["base/precise", "base/natty"])
async def test_the_bases_of_old_scripts_stand_for_the_default_one(
    api: ApiHarness, name: str
) -> None:
    """In the options of jobs, and in recipes, whose environment is on the base that there is."""
    assert await image_of(api, name) == ""

    made = await build(api, "science", base=name, a="1")

    assert [each.base for each in made.versions] == [f"base/python{PYTHON}"]


async def test_a_python_names_the_base_that_has_it_whatever_its_name_is() -> None:
    """So `_env="auto"` and recipes need not know how the bases of a server are called."""
    images = BaseOnlyImages("bookworm", "3.11", "")

    assert await base_named(images, "base/python3.11", "env") == images.default_base
    with pytest.raises(RequestRefused, match=r"no base 'base/python3\.1' on this server"):
        await base_named(images, "base/python3.1", "env")


async def test_a_job_without_an_environment_reads_nothing(api: ApiHarness) -> None:
    """The base costs no request of the state store."""
    before = len(api.state.reads), len(api.state.scans)

    assert await image_of(api, None) == ""
    assert (len(api.state.reads), len(api.state.scans)) == before


async def test_jobs_of_a_python_that_is_not_here_go_to_the_base(api: ApiHarness) -> None:
    """There they are refused with both versions."""
    assert await api.use_cases.environments.choice.image_of(ACCOUNT, None, "3.1") == ""
