"""Secrets of users: one that is planted is found nowhere, and those of others are out of reach."""

from __future__ import annotations

import base64
import contextlib
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest
from cloud import CloudException
from picloud_driver.nomad.gateway import NomadGateway
from picloud_driver.stack.servers import nomad

from tests.attacks.openapi_targets import Target
from tests.e2e import nomad_requests
from tests.e2e.browser import Browser, browser
from tests.e2e.stack_hashicorp import HashiCorpStack

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.attacks.sender import Sender
    from tests.e2e.stacks import EmbeddedStack, Stack

__all__ = ["browser"]

NAMES: Final = ("", ".", "..", "../x", "a/b", "a\n", "%2e%2e", "\u00fc", "x" * 65, "$x", "a b")
NAME: Final = "planted"


class Planted:
    """A secret that was set and used: its value, and the jobs that found it."""

    def __init__(self, sender: Sender, client: Client) -> None:
        self.value = f"canary-{uuid4().hex}"
        values = {"CANARY": self.value, "USER": "me"}
        assert sender.send("POST", "/v1/secrets", {"name": NAME, "values": values}).status == 200

        def use(fails: bool) -> int:
            import subprocess

            print("found", len(os.environ["CANARY"]))
            subprocess.run(["true"], check=True)
            return 1 // (not fails) + len(os.environ["CANARY"])

        self.jids = [int(client.call(use, fails, _secrets=[NAME])) for fails in (False, True)]
        assert client.result(self.jids[0], 60) == 1 + len(self.value)
        with contextlib.suppress(CloudException):
            client.result(self.jids[1], 60)
        assert client.status(self.jids[1]) == "error"
        text = self.value.encode()
        self.forms = (text, base64.b64encode(text).rstrip(b"="), zlib.compress(text))

    def is_in(self, data: bytes) -> bool:
        """Return whether the value is in some bytes, in any of its forms."""
        return any(form in data for form in self.forms)


@pytest.fixture(scope="module")
def planted(sender: Sender, stack: Stack) -> Planted:
    """A secret of the first account, which jobs of it have used."""
    with contextlib.closing(stack.client()) as client:
        return Planted(sender, client)


def test_nothing_that_is_stored_or_logged_has_it(planted: Planted, stack: EmbeddedStack) -> None:
    """No file of the state store, of blobs, of slots or of logs has the value."""
    looked = 0
    for file in [*stack.stored(), stack._log]:
        with contextlib.suppress(OSError):
            assert not planted.is_in(file.read_bytes()), file
            looked += 1

    assert looked > 3


def test_no_process_of_the_platform_has_it(planted: Planted, stack: Stack) -> None:
    """Neither in its arguments nor in its environment."""
    looked = 0
    for process in stack.processes():
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                data = Path(f"/proc/{process.pid}/{name}").read_bytes()
                assert not planted.is_in(data), (process, name)
                looked += 1

    assert looked > 3


def test_no_answer_and_no_page_has_it(
    planted: Planted, client: Client, browser: Browser, sender: Sender
) -> None:
    """What a client or a browser sees of the jobs and of the secret is its names alone."""
    infos = repr([client.info(jid, "all") for jid in planted.jids])
    listed = sender.send("POST", "/v1/secrets/list", {}).data
    inputs = repr([client.inputs(jid).attributes for jid in planted.jids])
    pages = "".join(browser.text(f"/jobs/{jid}") for jid in planted.jids)
    lists = browser.text("/jobs")

    assert "found" in infos
    assert NAME in inputs
    assert b"CANARY" in listed
    for shown in (infos.encode(), listed, inputs.encode(), pages.encode(), lists.encode()):
        assert not planted.is_in(shown)


def test_no_jobspec_has_it(planted: Planted, stack: Stack) -> None:
    """Nomad has jobs of the account by now, and none has a value or a name of the secret."""
    if isinstance(stack, HashiCorpStack):
        access = stack.addresses().nomad
        gateway = NomadGateway(nomad.access(access), connections=1)
        names = [each["ID"] for each in nomad_requests.get(access, "jobs")]
        specs = repr([nomad_requests.get(access, f"job/{name}") for name in names]).encode()
        gateway.close()
        assert names
        assert not planted.is_in(specs)
        assert b"CANARY" not in specs


def test_a_job_cannot_change_or_list_secrets(planted: Planted, client: Client) -> None:
    """Its token is refused, as for API keys."""

    def attempt() -> list[str]:
        import cloud

        messages = []
        for call in (
            lambda: cloud.secret.set("planted", {"CANARY": "x"}),
            lambda: cloud.secret.remove("planted"),
            cloud.secret.list,
        ):
            try:
                call()
                messages.append("")
            except cloud.CloudException as error:
                messages.append(str(error))
        return messages

    assert all(client.result(client.call(attempt), 60))
    assert client.result(client.call(os.getenv, "CANARY", _secrets=NAME), 60) == planted.value


def test_a_secret_of_another_account_is_not_there(sender: Sender, planted: Planted) -> None:
    """Each operation replies as for one that does not exist; a submit makes no job."""
    name = uuid4().hex
    made = {"name": name, "values": {"A": "b"}}
    assert sender.send("POST", "/v1/secrets", made, sender.other).status == 200

    def submit(secret: str) -> dict[str, Any]:
        body = Target("POST", "/v1/jobs").body()
        return {**body, "options": body["options"] | {"secrets": [secret]}}

    for address, body, status in (
        ("/v1/secrets/remove", lambda each: {"name": each}, 404),
        ("/v1/jobs", submit, 422),
    ):
        foreign = sender.send("POST", address, body(name))
        missing = sender.send("POST", address, body("0" * 32))
        assert foreign.status == status
        assert foreign.data.replace(name.encode(), b"0" * 32) == missing.data
    traversing = sender.send("POST", "/v1/jobs", submit(f"../{name}"))
    assert traversing.status == 422
    gone = sender.send("POST", "/v1/secrets/remove", {"name": name}, sender.other)
    assert gone.status == 200


def test_a_slot_reads_secrets_of_its_jobs_only(sender: Sender, planted: Planted) -> None:
    """One that does not hold the job is refused, whatever attempt it names."""
    for batch in ("0" * 32, uuid4().hex):
        for attempt in (0, 1, 2):
            body = {"job": [batch, 0, attempt]}
            reply = sender.send("POST", "/v1/secrets/job", body, sender.slot)
            assert (reply.status, reply.code) == (422, "request.refused")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_nowhere(sender: Sender, name: str) -> None:
    """What is not a name is refused before it becomes a part of a key."""
    body = {"name": name, "values": {"A": "b"}}

    assert sender.send("POST", "/v1/secrets", body).status == 422
