"""Ctrl-C during a wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudConnectionError
from cloud._config.configuration import Config
from cloud._jobs.interrupt import interrupted

from tests.current_client import current_client
from tests.unit.sdk.fake_server import client_for

if TYPE_CHECKING:
    from cloud._client.client import Client
    from picloud_model import wire

    from tests.unit.sdk.fake_server import FakeServer


@pytest.mark.parametrize(
    ("jids", "text"),
    [
        (7, "Job 7 goes on; cloud.result(7) waits again, cloud.kill(7) ends it."),
        (
            range(7, 10),
            (
                "Jobs 8-9 go on; cloud.result(range(7, 10)) waits again, "
                "cloud.kill(range(7, 10)) ends them."
            ),
        ),
        (
            [7, 8, 12],
            "2 of 3 jobs go on; cloud.result(jids) waits again, cloud.kill(jids) ends them.",
        ),
    ],
)
def test_ctrl_c_says_what_goes_on(server: FakeServer, client: Client, jids: Any, text: str) -> None:
    """And how to reach it, in one line."""
    if jids != 7:
        server.done(7, None)

    def on_wait(request: wire.WaitRequest) -> None:
        if jids == 7 or request.jids[0][0] != 7:
            raise KeyboardInterrupt

    server.on_wait = on_wait

    with pytest.raises(KeyboardInterrupt) as caught:
        client.result(jids)

    assert str(caught.value) == text
    assert caught.value.__suppress_context__


def test_a_server_of_the_program_ends_with_it() -> None:
    """A later program cannot wait again, and `cloud.mp` has functions of its own."""
    text = str(interrupted([7], [(7, 7)], simulator_of="cloud.mp"))

    assert text == (
        "Job 7 goes on until this program ends; cloud.mp.result(7) waits again, "
        "cloud.mp.kill(7) ends it."
    )
    assert cloud.mp._current._module == "cloud.mp"


def test_a_wait_that_loses_its_server_names_its_jobs(server: FakeServer) -> None:
    """Those that are not known to have ended, to wait for them again."""
    config = Config()
    config.patience_s = 0
    client = client_for(server, config)
    client.map(abs, range(3))
    server.done(1, None)

    def on_wait(request: wire.WaitRequest) -> None:
        if request.jids[0][0] != 1:
            raise CloudConnectionError("The server stopped answering.")

    server.on_wait = on_wait

    with pytest.raises(CloudConnectionError) as caught:
        client.result([1, 3])
    assert str(caught.value) == "The server stopped answering. Not known to have ended: job 3."
    assert caught.value.jid == range(3, 4)


def test_ctrl_c_between_results_says_what_goes_on(server: FakeServer, client: Client) -> None:
    """The next call waits again."""

    def on_wait(_: wire.WaitRequest) -> None:
        server.on_wait = lambda _: None
        raise KeyboardInterrupt

    server.on_wait = on_wait
    results = client.iresult([7])

    with pytest.raises(KeyboardInterrupt, match=r"^Job 7 goes on; cloud.result\(7\) waits again"):
        next(results)
    server.done(7, "done")

    assert next(results) == "done"


@pytest.mark.parametrize("call", ["iresult", "iresult_unordered", "wait_for_status", "wait"])
def test_ctrl_c_names_all_jobs_that_go_on(server: FakeServer, client: Client, call: str) -> None:
    """However they are waited for."""
    jids = client.map(abs, range(3))

    def on_wait(_: wire.WaitRequest) -> None:
        raise KeyboardInterrupt

    server.on_wait = on_wait

    with pytest.raises(KeyboardInterrupt, match=r"^Jobs 1-3 go on; cloud.result\(range\(1, 4\)\)"):
        if call == "wait_for_status":
            client.wait_for_status(jids, "done")
        elif call == "wait":
            with current_client(client):
                cloud.wait(jids)
        else:
            next(getattr(client, call)(jids))
