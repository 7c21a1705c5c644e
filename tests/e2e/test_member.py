"""`picloud member`, `picloud audit` and roles, on every stack: from an invitation to a removal."""

from __future__ import annotations

import contextlib
import csv
import re
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from picloud_model.wire.role import Role

from tests.e2e.browser import Browser
from tests.e2e.stack_hashicorp import HashiCorpStack

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack


def test_a_person_joins_reads_and_is_removed(
    stack: Stack, client: Client, picloud: Callable[..., Exited]
) -> None:
    """A reader signs in by a name and a password, sees jobs, and can do nothing to them."""
    invited = picloud("member", "invite", "--role", "reader")
    if not isinstance(stack, HashiCorpStack):
        assert (invited.code, invited.out) == (1, "")
        assert "picloud open" in invited.err
        return
    path = invited.out.strip().removeprefix(stack.url)
    jid = int(client.call(abs, -1, _label="seen by a reader"))
    browser = Browser(stack)
    fields = {"name": "Ada@example.org", "password": "correct horse"}

    assert "a reader of the account" in browser.text(path)
    assert browser.send("POST", path, **fields).status == 303
    browser = Browser(stack)
    assert browser.send("POST", "/sign-in", **fields).status == 303
    page = browser.text("/jobs?label=seen+by+a+reader")
    (token,) = re.findall(r'name="form_token" value="(\w+)"', page)[:1]
    killed = browser.send("POST", f"/jobs/{jid}/kill", form_token=token)

    assert (f'href="/jobs/{jid}"' in page, killed.status) == (True, 403)
    assert "ada" in picloud("member", "list").out.lower()
    reset = picloud("admin", "reset-password", "ada@example.org").out.strip()
    fields["password"] = "battery staple"
    new = reset.removeprefix(stack.url)
    assert browser.send("POST", new, password=fields["password"]).status == 303
    assert browser.send("POST", "/sign-in", **fields).status == 303
    assert picloud("member", "remove", "ada@example.org").code == 0
    assert browser.send("POST", "/sign-in", **fields).status == 401
    rows = [*csv.DictReader(picloud("audit", "--csv").out.splitlines())]
    names = [row["operation"] for row in rows if row["who"] == "Ada@example.org"]
    assert names == ["/sign-in", "/sign-in", "/join"]
    assert rows[0]["details"] == "name=ada@example.org"


def test_a_readers_key_changes_nothing(client: Client, stack: Stack) -> None:
    """It reads results; calls and kills are refused, with a sentence."""
    jid = client.call(abs, -1)
    key = client.keys.create(Role.READER).key
    with contextlib.closing(stack.client(key)) as reader:
        assert reader.result(jid, 60) == 1
        with pytest.raises(CloudException, match="role of your key"):
            reader.call(abs, 1)
        with pytest.raises(CloudException, match="role of your key"):
            reader.kill([jid])
