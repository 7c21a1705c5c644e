"""The least role of an operation: what only reads is listed, and all else is refused to readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.resources.least_role import OTHER_READS, OWNERS, READS, least_role
from picloud_api.resources.openapi import SERVED
from picloud_api.web.site import site
from picloud_model import wire
from picloud_model.wire.role import Role
from picloud_model.wire.sign_in import SignInLink, SignInRequest

from tests.unit.api.key_owner import administrator_of, key_request, owner_of
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi

SERVED_OPERATIONS = {f"{route.verb} {route.address}" for route in SERVED}


def test_listed_operations_exist(api: ApiHarness) -> None:
    """A name that is misspelt here would open nothing, or leave something open."""
    pages = {
        f"{verb} {node.uri_template}"
        for node in _nodes(site(api.use_cases)._router._roots)
        for verb in ("GET", "POST")
        if node.uri_template
    }

    assert set() == READS - SERVED_OPERATIONS
    assert SERVED_OPERATIONS | pages >= OTHER_READS | OWNERS


def test_what_readers_may_do_reads() -> None:
    """By its name; a name that is not known to read is looked at here before it is listed."""
    reading = {"batches", "bases", "entries", "folder", "get", "info", "list", "log", "missing"}
    reading |= {"open", "path", "prices", "rates", "read", "status", "usage", "wait"}
    # The usage of jobs, and a link that begins a session of the same key.
    reading |= {"jobs", "sign-ins"}

    assert {operation.rpartition("/")[2] for operation in READS} <= reading
    assert "POST /v1/jobs" not in READS


def _nodes(nodes: list) -> list:  # type: ignore[type-arg]
    return [each for node in nodes for each in (node, *_nodes(node.children))]


def test_a_new_operation_is_closed_to_readers() -> None:
    """What is not listed requires a member, also under a method that only an application has."""
    assert least_role("POST", "/v1/unheard-of") is Role.MEMBER
    assert least_role("DELETE", "/v1/jobs/status") is Role.MEMBER
    assert least_role("GET", "/r/{account}/{label}/app/{path:path}") is Role.MEMBER
    assert least_role("GET", "/notebooks/open/{name}") is Role.MEMBER


@pytest.mark.parametrize("role", [Role.MEMBER, Role.READER])
async def test_a_key_does_what_its_role_allows(api: ApiHarness, http: HttpApi, role: Role) -> None:
    """A reader's key changes nothing, a member's key does nothing that owners decide."""
    made = await http.post(
        "/v1/keys", wire.KeyRequest(request_id="a" * 32, role=role), wire.KeyMade
    )
    budget = {"dollars": 1.0}

    read = await http.send("POST", "/v1/jobs/list", wire.encode(wire.ListRequest()), made.key)
    changed = await http.send(
        "POST", "/v1/jobs/kill", wire.encode(wire.JobsRequest(jids=[])), made.key
    )
    decided = await http.refusal("/v1/budgets", budget, made.key)

    assert read.status_code == 200
    assert changed.status_code == (200 if role is Role.MEMBER else 403)
    assert decided == (403, "role.refused")
    assert (await http.refusal("/v1/accounts/list", wire.AccountsRequest(), made.key))[0] == 403


async def test_a_key_makes_no_key_that_may_do_more(api: ApiHarness, http: HttpApi) -> None:
    """A member's key makes keys of members; it sees those of owners and cannot change them."""
    member = await http.post(
        "/v1/keys", wire.KeyRequest(request_id="a" * 32, role=Role.MEMBER), wire.KeyMade
    )
    spare = await http.post("/v1/keys", key_request(), wire.KeyMade)
    named = wire.KeyIdRequest(id=spare.key.split("_")[1])

    owners = await http.refusal("/v1/keys", key_request(), member.key)
    off = await http.refusal("/v1/keys/deactivate", named, member.key)

    assert owners == (403, "role.refused")
    assert off == (403, "role.refused")


async def test_a_link_signs_in_with_the_role_of_its_key(api: ApiHarness, http: HttpApi) -> None:
    """`picloud open` with a reader's key begins a session that changes nothing."""
    made = await http.post(
        "/v1/keys", wire.KeyRequest(request_id="c" * 32, role=Role.READER), wire.KeyMade
    )
    link = await http.post("/v1/sign-ins", SignInRequest(), SignInLink, made.key)
    browser = WebPages(api)

    await browser.send("GET", link.path)
    killed = await browser.send("POST", "/jobs/kill", f"form_token={await browser.token()}")

    assert (await browser.send("GET", "/jobs")).status == 200
    assert killed.status == 403


async def test_an_earlier_version_refuses_keys_with_a_role(api: ApiHarness) -> None:
    """It would not limit them: what it compares with is the hash of the secret and the role."""
    owner = await administrator_of(api)
    made = await api.use_cases.accounts.keys.create(
        owner.holder, wire.KeyRequest(request_id="b" * 32, role=Role.READER)
    )
    reader = await owner_of(api, made.key)
    stored = await api.use_cases.accounts.accounts.stored_key(reader.key_id)
    secret = made.key.split("_", 2)[2]

    assert stored.digest != api.use_cases.accounts.accounts._digest(secret)
    assert reader.holder.role is Role.READER
