"""Notebooks and desktops that pages start again and shut down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.jobs.locate import locate
from picloud_api.store import layout
from picloud_model.errors import NotFound, RequestConflict
from picloud_model.wire import notebook as wire

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"


async def run(api: ApiHarness, jid: int) -> None:
    """Make a job the machine of a desktop."""
    request = wire.RunNotebookRequest(name="a", jid=jid, kind="desktop")
    await api.use_cases.environments.notebooks.run(ACCOUNT, request)


async def end(api: ApiHarness, jid: int) -> None:
    """End a job."""
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)])


async def test_a_machine_is_started_again_as_it_was(api: ApiHarness) -> None:
    """Its next job has the function, arguments and options of the last one, and is its machine."""
    [jid] = await api.submit(1, function="host_desktop", label="mine", priority=3)
    await run(api, jid)
    switch = api.use_cases.jobs.machines

    assert await switch.start(ACCOUNT, "a", "desktop") == jid
    await end(api, jid)
    again = await switch.start(ACCOUNT, "a", "desktop")

    assert again != jid
    assert await switch.start(ACCOUNT, "a", "desktop") == again
    machine = await api.use_cases.environments.notebooks.get(ACCOUNT, "a", "desktop")
    assert (machine.jid, machine.ended) == (again, False)
    view = api.server.context.commits.view
    headers = []
    for each in (jid, again):
        [piece] = await locate(view, ACCOUNT, [(each, each)])
        batch = piece.page_id.batch
        header = await view.get(layout.header(ACCOUNT, batch))
        arguments = await view.get(layout.arguments(ACCOUNT, batch, 0))
        headers.append((header.function, header.options, header.envelope, bytes(arguments)))
    assert headers[0] == headers[1]
    assert headers[0][1].label == "mine"


async def test_a_machine_whose_job_was_deleted_needs_its_arguments(api: ApiHarness) -> None:
    """They are gone; the message names the command that takes them."""
    [jid] = await api.submit(1)
    await run(api, jid)
    await end(api, jid)
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(jid, jid)])

    with pytest.raises(
        RequestConflict, match=f"Job {jid}, .* was deleted: picloud desktop start a"
    ):
        await api.use_cases.jobs.machines.start(ACCOUNT, "a", "desktop")


async def test_machines_of_another_account_are_not_there(api: ApiHarness) -> None:
    """Nor those of another kind."""
    [jid] = await api.submit(1)
    await run(api, jid)
    switch = api.use_cases.jobs.machines

    for refused in (
        switch.start(OTHER, "a", "desktop"),
        switch.stop(OTHER, "a", "desktop"),
        switch.start(ACCOUNT, "a", "notebook"),
        switch.stop(ACCOUNT, "a", "notebook"),
    ):
        with pytest.raises(NotFound, match="'a'"):
            await refused


async def test_a_machine_that_does_not_listen_yet_is_killed(api: ApiHarness) -> None:
    """There is nothing to store; one that has ended stays so."""
    [jid] = await api.submit(1)
    await run(api, jid)
    switch = api.use_cases.jobs.machines

    await switch.stop(ACCOUNT, "a", "desktop")
    await switch.stop(ACCOUNT, "a", "desktop")

    machine = await api.use_cases.environments.notebooks.get(ACCOUNT, "a", "desktop")
    assert machine.ended
