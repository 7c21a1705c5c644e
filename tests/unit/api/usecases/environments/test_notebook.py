"""Notebooks: one job at a time for each name, with a token of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import JobNotFound, NotFound, RequestConflict
from picloud_model.wire import notebook as wire

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"
PASSWORD = "two words for us"


async def run(api: ApiHarness, jid: int, port: int | None = None, name: str = "a") -> wire.Notebook:
    """Make a job the machine of a notebook."""
    request = wire.RunNotebookRequest(name=name, jid=jid, port=port)
    return await api.use_cases.environments.notebooks.run(ACCOUNT, request)


def change(password: str | None) -> wire.NotebookPasswordRequest:
    """A request that sets or revokes the second password."""
    return wire.NotebookPasswordRequest(name="a", password=password)


async def end(api: ApiHarness, jid: int) -> None:
    """End a job."""
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)])


async def test_one_job_at_a_time_runs_a_notebook(api: ApiHarness) -> None:
    """A second one is refused until the first has ended; repeated requests change nothing."""
    first, second = await api.submit(2)

    begun = await run(api, first)
    listening = await run(api, first, 8888)
    again = await run(api, first)
    with pytest.raises(RequestConflict, match=f"'a' is already running as job {first}; picloud"):
        await run(api, second)
    await end(api, first)
    ended = await api.use_cases.environments.notebooks.get(ACCOUNT, "a")
    late = await run(api, first, 8889)
    next_one = await run(api, second)

    assert (begun.port, listening.port, again) == (None, 8888, listening)
    assert (ended.ended, ended.port, ended.token) == (True, None, "")
    assert late.port is None
    assert (next_one.jid, next_one.ended, next_one.port) == (second, False, None)
    assert begun.token == listening.token != next_one.token
    assert len(begun.token) == 48


async def test_a_job_that_has_ended_runs_no_notebook(api: ApiHarness) -> None:
    """Neither does one that does not exist, or is another account's."""
    [jid] = await api.submit(1)
    await end(api, jid)

    with pytest.raises(RequestConflict, match=f"Job {jid} has ended"):
        await run(api, jid)
    with pytest.raises(JobNotFound):
        await run(api, jid + 1)
    request = wire.RunNotebookRequest(name="a", jid=jid)
    with pytest.raises(JobNotFound):
        await api.use_cases.environments.notebooks.run(OTHER, request)


async def test_lists_have_no_tokens(api: ApiHarness) -> None:
    """The token is for those who name the notebook, which its owner alone can; nor is a hash."""
    notebooks = api.use_cases.environments.notebooks
    [jid] = await api.submit(1)
    await run(api, jid)
    await notebooks.set_password(ACCOUNT, change(PASSWORD))

    [listed] = (await notebooks.list(ACCOUNT)).notebooks
    read = await notebooks.get(ACCOUNT, "a")

    assert (listed.has_password, listed.token) == (True, "")
    assert (read.has_password, bool(read.token)) == (True, True)
    assert read.shared_path == listed.shared_path == f"/notebooks/shared/{ACCOUNT}-a-nb"
    assert "token" not in repr(read)
    assert read.token not in repr(read)
    assert PASSWORD not in repr(change(PASSWORD))
    access = await notebooks.access(ACCOUNT, "a")
    assert access.token == read.token
    assert access.token not in repr(access)


async def test_a_password_has_generations(api: ApiHarness) -> None:
    """Each change begins another one, even one to the same password; revoked, there is none."""
    notebooks = api.use_cases.environments.notebooks
    [jid] = await api.submit(1)
    await run(api, jid)
    without = await notebooks.check_password(ACCOUNT, "a", "")
    await notebooks.set_password(ACCOUNT, change(PASSWORD))
    first = await notebooks.check_password(ACCOUNT, "a", PASSWORD)
    wrong = await notebooks.check_password(ACCOUNT, "a", f"{PASSWORD}!")
    foreign = await notebooks.check_password(OTHER, "a", PASSWORD)
    current = (await notebooks.access(ACCOUNT, "a")).generation
    await notebooks.set_password(ACCOUNT, change(PASSWORD))
    second = await notebooks.check_password(ACCOUNT, "a", PASSWORD)
    await notebooks.set_password(ACCOUNT, change(None))
    revoked = await notebooks.check_password(ACCOUNT, "a", PASSWORD)

    assert first == current != second
    assert second is not None
    assert [without, wrong, foreign, revoked] == [None] * 4
    assert (await notebooks.access(ACCOUNT, "a")).generation == ""


async def test_notebooks_of_another_account_are_not_there(api: ApiHarness) -> None:
    """None of its operations finds them, or changes them."""
    notebooks = api.use_cases.environments.notebooks
    [jid] = await api.submit(1)
    await run(api, jid)
    for refused in (
        notebooks.get(OTHER, "a"),
        notebooks.set_password(OTHER, change(PASSWORD)),
        notebooks.set_password(OTHER, change(None)),
        notebooks.access(OTHER, "a"),
        notebooks.delete(OTHER, "a"),
    ):
        with pytest.raises(NotFound, match="no notebook 'a'"):
            await refused
    assert (await notebooks.list(OTHER)).notebooks == []
    assert not (await notebooks.get(ACCOUNT, "a")).has_password


async def test_a_notebook_is_forgotten_once_it_has_ended(api: ApiHarness) -> None:
    """Deleting one that runs is refused, and so is one that is not there, with the nearest name."""
    notebooks = api.use_cases.environments.notebooks
    [jid] = await api.submit(1)
    await run(api, jid)

    with pytest.raises(RequestConflict, match="already running"):
        await notebooks.delete(ACCOUNT, "a")
    await end(api, jid)
    await run(api, *await api.submit(1), name="sales")
    await notebooks.delete(ACCOUNT, "a")
    with pytest.raises(NotFound, match="no notebook 'a' in your account; `picloud notebook start`"):
        await notebooks.delete(ACCOUNT, "a")
    with pytest.raises(NotFound, match="no notebook 'slaes' in your account; did you mean 'sales'"):
        await notebooks.get(ACCOUNT, "slaes")


async def test_an_account_has_a_limited_number_of_notebooks(api: ApiHarness) -> None:
    """One more is refused, and those that exist go on."""
    jids = await api.submit(wire.MAX_NOTEBOOKS + 1)
    for number, jid in enumerate(jids[:-1]):
        await run(api, jid, name=f"n{number}")

    with pytest.raises(RequestConflict, match=f"up to {wire.MAX_NOTEBOOKS} notebooks"):
        await run(api, jids[-1], name="another")
    assert (await run(api, jids[0], 8888, name="n0")).port == 8888


async def test_a_name_is_that_of_a_notebook_or_a_desktop(api: ApiHarness) -> None:
    """The other kind is refused under it, and not found by it."""
    notebooks = api.use_cases.environments.notebooks
    first, second = await api.submit(2)
    request = wire.RunNotebookRequest(name="a", jid=first, port=5900, kind="desktop")

    desktop = await notebooks.run(ACCOUNT, request)

    assert (desktop.kind, desktop.port) == ("desktop", 5900)
    assert await notebooks.get(ACCOUNT, "a", "desktop") == desktop
    assert (await notebooks.access(ACCOUNT, "a")).kind == "desktop"
    with pytest.raises(RequestConflict, match="'a' is that of a desktop of your account; choose"):
        await run(api, second)
    for refused in (
        notebooks.get(ACCOUNT, "a"),
        notebooks.delete(ACCOUNT, "a"),
        notebooks.set_password(ACCOUNT, change(PASSWORD)),
    ):
        with pytest.raises(NotFound, match="no notebook 'a'"):
            await refused
    with pytest.raises(NotFound, match="no desktop 'b' in your account; `picloud desktop start`"):
        await notebooks.get(ACCOUNT, "b", "desktop")
    with pytest.raises(RequestConflict, match="The desktop 'a' is already running"):
        await notebooks.delete(ACCOUNT, "a", "desktop")
