"""Secret sources: what is minted for a job is found nowhere; administrators define them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest
from picloud_driver.nomad.gateway import NomadGateway
from picloud_driver.stack.servers import nomad

from tests.attacks.openapi_targets import Target
from tests.e2e import nomad_requests
from tests.e2e.browser import Browser, browser
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stack_pki import stack_pki
from tests.vault_pki import COMMON_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

    from tests.attacks.sender import Sender
    from tests.e2e.stacks import Stack

__all__ = ["browser"]

PATH: Final = "/v1/secret-sources"
VARIABLES: Final = {"CANARY": "private_key"}
BAD_PATHS: Final = ("", "/", "a/", "/a", "../a", "a/../b", "a//b", "a b", "a\n", "a?b", "a%2fb")


class Minted:
    """A private key that a job has used: some of its lines, which are random, and the job."""

    def __init__(self, sender: Sender, client: Client, path: str) -> None:
        self.name = f"minted-{uuid4().hex[:12]}"
        body = {
            "name": self.name,
            "path": path,
            "role": "jobs",
            "variables": VARIABLES,
            "parameters": {"common_name": COMMON_NAME},
        }
        assert sender.send("POST", PATH, body).status == 200

        def use() -> str:
            print("found", len(os.environ["CANARY"]))
            return os.environ["CANARY"][::-1]

        self.jid = int(client.call(use, _secrets=[self.name]))
        key = client.result(self.jid, 60)[::-1]
        assert "PRIVATE KEY" in key
        self.lines = [line.encode() for line in key.splitlines()[1:-1] if len(line) > 20]

    def is_in(self, data: bytes) -> bool:
        """Return whether a line of the key is in some bytes."""
        return any(line in data for line in self.lines)


@pytest.fixture(scope="module")
def minted(sender: Sender, stack: Stack) -> Iterator[Minted | None]:
    """A key of the stack's Vault that a job of the first account has used; None without Vault."""
    if not isinstance(stack, HashiCorpStack):
        yield None
        return
    pki = stack_pki(stack)
    with contextlib.closing(stack.client()) as client:
        yield Minted(sender, client, pki.path)
    pki.close()


def test_nothing_has_what_was_minted(
    minted: Minted | None, stack: Stack, client: Client, browser: Browser, sender: Sender
) -> None:
    """No file, log, process, jobspec, answer or page has a line of the key."""
    if minted is None or not isinstance(stack, HashiCorpStack):
        return
    assert len(minted.lines) >= 2
    shown = {
        "info": repr(client.info(minted.jid, "all")).encode(),
        "inputs": repr(client.inputs(minted.jid).attributes).encode(),
        "list": sender.send("POST", "/v1/secrets/list", {}).data,
        "sources": sender.send("POST", f"{PATH}/list", {}).data,
        "page": browser.text(f"/jobs/{minted.jid}").encode(),
    }
    for file in [*stack.stored(), stack._log]:
        with contextlib.suppress(OSError):
            shown[str(file)] = file.read_bytes()
    for process in stack.processes():
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                shown[f"{process.pid} {name}"] = Path(f"/proc/{process.pid}/{name}").read_bytes()
    access = stack.addresses().nomad
    gateway = NomadGateway(nomad.access(access), connections=1)
    for each in nomad_requests.get(access, "jobs"):
        shown[each["ID"]] = repr(nomad_requests.get(access, f"job/{each['ID']}")).encode()
    gateway.close()

    assert b"found" in shown["info"]
    assert minted.name.encode() in shown["inputs"]
    assert len(shown) > 20
    assert [name for name, data in shown.items() if minted.is_in(data)] == []


def test_only_administrators_define_sources(minted: Minted | None, sender: Sender) -> None:
    """Keys of other accounts are refused, and what they would find out with them, too."""
    body = {"name": "x", "path": "a/b", "role": "c", "variables": VARIABLES}
    for address, asked in ((PATH, body), (f"{PATH}/list", {}), (f"{PATH}/remove", {"name": "x"})):
        reply = sender.send("POST", address, asked, sender.other)
        assert (reply.status, reply.code) == (403, "administrators_only")


def test_a_source_for_others_is_not_there(minted: Minted | None, sender: Sender) -> None:
    """A submit replies as for a name that does not exist, and makes no job."""
    if minted is None:
        return
    listed = sender.send("POST", f"{PATH}/list", {}).body()["sources"]
    (own,) = [each for each in listed if each["name"] == minted.name]
    theirs = {name: own[name] for name in ("path", "role", "variables", "parameters")}
    defined = {"name": "theirs", "accounts": ["a0000002"], **theirs}
    assert sender.send("POST", PATH, defined).status == 200

    def submit(secret: str) -> dict[str, Any]:
        body = Target("POST", "/v1/jobs").body()
        return {**body, "options": body["options"] | {"secrets": [secret]}}

    foreign = sender.send("POST", "/v1/jobs", submit("theirs"))
    missing = sender.send("POST", "/v1/jobs", submit("x" * 6))
    assert foreign.status == 422
    assert foreign.data.replace(b"theirs", b"x" * 6) == missing.data
    assert b"theirs" not in sender.send("POST", "/v1/secrets/list", {}).data
    assert sender.send("POST", f"{PATH}/remove", {"name": "theirs"}).status == 200


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_leads_to_engines_only(sender: Sender, path: str) -> None:
    """What is not made of plain names is refused before it becomes a part of an address."""
    body = {"name": "x", "path": path, "role": "c", "variables": VARIABLES}

    assert sender.send("POST", PATH, body).status == 422


@pytest.mark.parametrize("path", ["picloud/data", "sys/policies", "auth/token", "picloud-ssh/sign"])
def test_a_source_of_the_servers_own_is_refused(sender: Sender, path: str) -> None:
    """Neither secrets of users nor keys of the server become secrets of a job."""
    body = {"name": "x", "path": path, "role": "users", "variables": VARIABLES}
    body["parameters"] = {"a": "b"}

    assert sender.send("POST", PATH, body).status == 422
