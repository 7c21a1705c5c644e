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
HASH = "argon2:$argon2id$v=19$m=10240,t=10,p=8$salt$hash"


async def run(api: ApiHarness, jid: int, port: int | None = None, name: str = "a") -> wire.Notebook:
    """Make a job the machine of a notebook."""
    request = wire.RunNotebookRequest(name=name, jid=jid, port=port)
    return await api.use_cases.environments.notebooks.run(ACCOUNT, request)


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


async def test_lists_have_no_tokens_and_passwords(api: ApiHarness) -> None:
    """The token and the hash are for those who name the notebook, which its owner alone can."""
    notebooks = api.use_cases.environments.notebooks
    [jid] = await api.submit(1)
    await run(api, jid)
    await notebooks.set_password(ACCOUNT, wire.NotebookPasswordRequest(name="a", hash=HASH))

    [listed] = (await notebooks.list(ACCOUNT)).notebooks
    read = await notebooks.get(ACCOUNT, "a")
    await notebooks.set_password(ACCOUNT, wire.NotebookPasswordRequest(name="a", hash=None))
    revoked = await notebooks.get(ACCOUNT, "a")

    assert (listed.has_password, listed.token, listed.hash) == (True, "", None)
    assert (read.has_password, bool(read.token), read.hash) == (True, True, HASH)
    assert (revoked.has_password, revoked.hash) == (False, None)
    assert "token" not in repr(read)
    assert read.token not in repr(read)


async def test_notebooks_of_another_account_are_not_there(api: ApiHarness) -> None:
    """None of its operations finds them, or changes them."""
    notebooks = api.use_cases.environments.notebooks
    [jid] = await api.submit(1)
    await run(api, jid)
    change = wire.NotebookPasswordRequest(name="a", hash=HASH)

    for refused in (
        notebooks.get(OTHER, "a"),
        notebooks.set_password(OTHER, change),
        notebooks.delete(OTHER, "a"),
    ):
        with pytest.raises(NotFound, match="no notebook 'a'"):
            await refused
    assert (await notebooks.list(OTHER)).notebooks == []
    assert (await notebooks.get(ACCOUNT, "a")).hash is None


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
