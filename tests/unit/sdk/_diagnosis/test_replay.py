"""Replays: what needs no job to run here; `tests/e2e/test_replay.py` runs them in processes."""

from __future__ import annotations

from typing import Any, cast

import pytest
from cloud import CloudException
from cloud._diagnosis.replay import Replay, _differences, submit_again
from cloud.errors import CommandFailed
from picloud_model import pack, wire

from tests.unit.sdk.fake_server import FakeServer, client_for


def sent(server: FakeServer, args: tuple[Any, ...], **attributes: Any) -> None:
    """Have a server know job 7: a call of `pow`."""
    packer = client_for(server).packer
    body = packer.function(pow).parcel
    server.infos[7] = {
        "status": "error",
        "parcel": packer.arguments(args, {}),
        "body": wire.Content("f" * 64, len(body), body),
        "attributes": {"kind": "map", "function": "builtins.pow", **attributes},
    }


def test_a_new_job_has_the_inputs_and_options_of_the_old() -> None:
    """Also of one job of a map: it is a call then."""
    server = FakeServer()
    sent(server, (2, 10), label="powers", max_runtime_s=60.0, priority=3)

    jid = submit_again(client_for(server), 7)

    made = server.batch()
    assert (jid, made.kind, made.count, made.function_name) == (1, "call", 1, "builtins.pow")
    assert made.options == wire.Options(label="powers", max_runtime_s=60.0, priority=3)
    assert server.arguments() == [((2, 10), {})]
    assert made.function.data is not None
    assert pack.unseal(made.function.data)


def test_large_arguments_are_uploaded_first() -> None:
    """Those that do not fit into a request are a blob."""
    server = FakeServer()
    sent(server, (bytes(600_000),))

    submit_again(client_for(server), 7)

    assert len(server.blobs) == 1
    assert server.arguments() == [((bytes(600_000),), {})]


def test_what_the_server_no_longer_has_is_an_error() -> None:
    """Its function, or its arguments: one sentence with the job."""
    server = FakeServer()
    sent(server, (2, 3))
    del server.infos[7]["parcel"]

    with pytest.raises(CloudException, match="The server no longer has its arguments"):
        submit_again(client_for(server), 7)
    del server.infos[7]["body"]
    with pytest.raises(CloudException, match="The server no longer has its function"):
        submit_again(client_for(server), 7)
    assert not server.batches


def test_options_without_effect_are_named() -> None:
    """A sentence for each; none for a job like most."""
    assert [*_differences({"env": None, "vols": [], "seed": None, "cwd": None})] == []
    sentences = [*_differences({"env": "e1", "vols": ["v"], "seed": 0, "cwd": "/no/such/place"})]
    assert sentences[0].startswith("it ran in the environment 'e1', here it uses the packages of")
    assert sentences[1:] == [
        "its volumes v are not mounted here",
        "its random numbers came from _seed, here they do not",
        "it ran in /no/such/place, which is not a directory here",
    ]


def test_a_shell_command_that_fails_has_no_frames_of_ours() -> None:
    """Its frames are those of the module that runs it; what it printed says more."""
    with pytest.raises(CommandFailed) as failed:
        _fail()

    shown = Replay.trace_of(cast("Replay", None), failed.value)

    assert "File" not in shown
    assert shown.endswith("CommandFailed: it ended with 2\nno such file")


def _fail() -> None:
    raise CommandFailed("it ended with 2", 2, "no such file")
