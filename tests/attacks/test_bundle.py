"""Bundles: a manifest of modules that no client would write is the error of its job."""

from __future__ import annotations

import base64
import pickle
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest
from cloud import CloudException
from picloud_model import pack
from picloud_model.wire import Manifest, Module, encode

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.attacks.sender import Sender

WAIT_S: Final = 60.0
PATHS: Final = {
    "twice": ("a.py", "a.py"),
    "a file as a directory": ("a", "a/b.py"),
    "a directory as a file": ("a/b.py", "a"),
    "a long name": ("x" * 300,),
    "a long path": ("a/" * 3000 + "x.py",),
    "outside": ("../x.py",),
    "absolute": ("/picloud-x.py",),
}


def store(sender: Sender, data: bytes) -> str:
    """Store a blob; return its digest."""
    digest = sha256(data).hexdigest()
    assert sender.send("PUT", f"/v1/blobs/{digest}", data).status == 200
    return digest


def call_with(sender: Sender, paths: tuple[str, ...]) -> int:
    """Call a function whose bundle has modules at these paths; return the jid."""
    module = store(sender, b"X = 1\n")
    bundle = store(sender, encode(Manifest([Module(path, module) for path in paths])))
    function = base64.b64encode(pack.seal(pickle.dumps(abs))).decode()
    arguments = pack.write([pack.seal(pickle.dumps(((-3,), {})))])
    body = {
        "submit_id": uuid4().hex,
        "kind": "call",
        "count": 1,
        "envelope": [f"{sys.version_info.major}.{sys.version_info.minor}", "3.1.1"],
        "function": ["", len(function), function],
        "function_name": "abs",
        "bundle": bundle,
        "parts": [[0, 1, ["", 0, base64.b64encode(arguments).decode()]]],
    }
    made = sender.send("POST", "/v1/jobs", body)
    assert made.status == 200, made.data
    return int(made.body()["first"])


def test_paths_that_cannot_be_together_are_the_error_of_the_job(
    client: Client, sender: Sender
) -> None:
    """The supervisor of its slot lives: nothing else is lost, and the next job runs."""
    jids = {name: call_with(sender, paths) for name, paths in PATHS.items()}
    whole = call_with(sender, ("a.py", "b/c.py"))

    for name, jid in jids.items():
        with pytest.raises(CloudException, match="cannot be stored at") as raised:
            client.result(jid, WAIT_S)
        assert "lost" not in str(raised.value), name
    assert client.result(whole, WAIT_S) == 3
    assert client.result(client.call(abs, -4), WAIT_S) == 4
