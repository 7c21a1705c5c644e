"""Admission: what a submit is refused for before any of it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_api.engine.process.turns import Turns
from picloud_api.usecases.jobs.admission import (
    JobSite,
    check_cover,
    check_options,
    check_packs,
    waiting_of,
)
from picloud_model import wire
from picloud_model.errors import JobDeleted, JobNotFound, RequestRefused, TooLarge
from picloud_model.pack import seal, write

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


def part(first: int, count: int) -> wire.PackPart:
    """Return a pack with the arguments of some jobs."""
    data = write([seal(b"x")] * count)
    return wire.PackPart(first, count, wire.Content("", len(data), data))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (wire.Options(core_type="x9"), r"no core type 'x9'; there are c1, "),
        (wire.Options(core_type="c1", cores=2), r"A job on c1 may have 1 core, not 2\."),
        (wire.Options(os_env_vars={"A=B": ""}), "'A=B' cannot be set"),
        (wire.Options(os_env_vars={"A": "\0"}), "'A' cannot be set"),
        (wire.Options(cwd="/home/me"), "do not share your files"),
    ],
)
def test_options_that_no_job_can_have_are_refused(options: wire.Options, message: str) -> None:
    """The message names the option, and where there is a list, what it may be."""
    with pytest.raises(RequestRefused, match=message) as refused:
        check_options(options, JobSite(False, str))

    assert (refused.value.field or "").startswith("options.")


def test_environment_variables_have_a_limit_in_all() -> None:
    """Names and values count together."""
    half = "x" * (wire.MAX_VARIABLES_BYTES // 2)
    check_options(wire.Options(os_env_vars={"A": half[2:], "B": half}), JobSite(True, str))

    with pytest.raises(TooLarge):
        check_options(wire.Options(os_env_vars={"A": half, "B": half}), JobSite(True, str))


def test_a_pack_stays_in_one_page() -> None:
    """A pack that ends with its page is accepted, one that crosses into the next is refused."""
    check_packs([part(990, 10)])

    with pytest.raises(RequestRefused, match="The pack at 990 crosses a multiple of 1000 jobs"):
        check_packs([part(990, 11)])


def test_a_pack_holds_what_it_declares() -> None:
    """A pack with fewer or more items than declared is refused."""
    whole = part(0, 3)

    for count in (2, 4):
        with pytest.raises(RequestRefused, match="The pack at 0 does not hold"):
            check_packs([replace(whole, count=count)])


@pytest.mark.parametrize(
    ("parts", "covered"),
    [
        ([], 0),
        ([part(0, 4)], 4),
        ([part(1, 9)], 0),
        ([part(0, 5), part(6, 4)], 5),
        ([part(0, 5), part(4, 6)], 5),
        ([part(0, 10), part(10, 1)], 11),
    ],
)
def test_packs_cover_each_job_once(parts: list[wire.PackPart], covered: int) -> None:
    """Gaps, overlaps and a wrong end are refused; the message says how far the packs go."""
    check_cover([part(0, 5), part(5, 5)], 10)

    with pytest.raises(RequestRefused, match=f"they do so for the first {covered}\\."):
        check_cover(parts, 10)


async def test_dependencies_are_merged_ranges(api: ApiHarness) -> None:
    """Jids in any order, named twice, become ascending ranges; none means no dependency."""
    await api.submit(10)
    view = api.server.context.commits.view
    request = replace(api.request(1), depends_on=[(7, 8), (1, 2), (2, 3)])

    waiting = await waiting_of(view, ACCOUNT, request, Turns().of(ACCOUNT))

    assert waiting is not None
    assert (waiting.depends_on, waiting.ignore) == ([(1, 3), (7, 8)], False)
    assert await waiting_of(view, ACCOUNT, api.request(1), Turns().of(ACCOUNT)) is None


async def test_a_dependency_must_exist(api: ApiHarness) -> None:
    """A jid that was never given out and a deleted job are refused, each by its own error."""
    await api.submit(2)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(1, 1)])
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(1, 1)])
    view = api.server.context.commits.view

    for jids, error in (((3, 3), JobNotFound), ((1, 2), JobDeleted)):
        with pytest.raises(error) as refused:
            request = replace(api.request(1), depends_on=[jids])
            await waiting_of(view, ACCOUNT, request, Turns().of(ACCOUNT))
        assert refused.value.field == "depends_on"


async def test_dependencies_have_a_limit(api: ApiHarness) -> None:
    """More separate ranges than one batch may wait for are refused before any is looked up."""
    ranges = [(2 * at + 1, 2 * at + 1) for at in range(wire.MAX_DEPENDENCIES + 1)]
    request = replace(api.request(1), depends_on=ranges)

    with pytest.raises(TooLarge, match="let one job depend on them"):
        view = api.server.context.commits.view
        await waiting_of(view, ACCOUNT, request, Turns().of(ACCOUNT))
