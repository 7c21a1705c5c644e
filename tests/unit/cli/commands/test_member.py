"""`picloud member`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_invite_prints_the_link_only(run: Callable[..., Any], server: FakeServer) -> None:
    """So that a script can send it."""
    assert run("member", "invite", "--role", "reader").stdout.endswith("/join/a1-secret\n")
    made = json.loads(run("member", "invite", "--json").stdout)
    assert (made["role"], made["link"].endswith("/join/a1-secret")) == ("member", True)
    assert run("member", "invite", "--role", "king").exit_code == exits.USAGE


def test_members_are_listed_changed_and_removed(
    run: Callable[..., Any], server: FakeServer
) -> None:
    """Each line has a name and a role; what was done is said on the standard error."""
    lines = run("member", "list").stdout.splitlines()

    assert lines[0] == "name\trole\tjoined"
    assert lines[1].startswith("ada\towner\t")
    assert run("member", "role", "ada", "reader").stderr == "The role of ada is reader.\n"
    assert json.loads(run("member", "list", "--json").stdout)[0]["role"] == "reader"
    assert "no longer a member" in run("member", "remove", "ada").stderr
    unknown = run("member", "remove", "ada")
    assert (unknown.exit_code, len(unknown.stderr.splitlines())) == (exits.OTHER, 1)


def test_invitations_are_listed_and_revoked(run: Callable[..., Any], server: FakeServer) -> None:
    """Without their links."""
    lines = run("member", "invites").stdout.splitlines()

    assert lines[0] == "id\trole\tmade by\tcreated"
    assert lines[1].startswith("0123456789ab\tmember\tada\t")
    assert json.loads(run("member", "invites", "--json").stdout)[0]["id"] == "0123456789ab"
    assert run("member", "revoke", "0123456789ab").stderr.endswith("is revoked.\n")
