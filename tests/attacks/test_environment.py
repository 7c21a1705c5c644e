"""Environments of other accounts, names that lead elsewhere, and recipes that are more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from tests.attacks.openapi_targets import Target

if TYPE_CHECKING:
    from tests.attacks.sender import Sender

PUBLIC_KEY: Final = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}"
OPERATIONS: Final[dict[str, dict[str, object]]] = {
    "get": {},
    "log": {},
    "edit": {"new_desc": "x"},
    "rollback": {"number": 1},
    "publish": {"public": True},
    "delete": {},
    "setup": {},
    "setup/get": {},
    "setup/save": {},
    "setup/ssh": {},
    "setup/certificate": {"public_key": PUBLIC_KEY},
    "setup/close": {},
}
"""Operations that name one environment, and their other fields."""
NAMES: Final = ("", ".", "..", "../x", "a/b", "a\n", "a:b", "\u00fc", "x" * 31, "$x", "a b", "-x")
RECIPES: Final[tuple[dict[str, Any], ...]] = (
    {"pip": ["-r /etc/passwd"]},
    {"pip": ["six\n-r /etc/passwd"]},
    {"pip": ["six --index-url=http://127.0.0.1"]},
    {"pip": ["six @ file:///etc/passwd"]},
    {"pip": ["/etc"]},
    {"files": {"../../x": ""}},
    {"files": {"/etc/x": ""}},
    {"base": "base/../../x"},
    {"apt": ["vim; id"]},
    {"commands": ["id\0"]},
)


def made(sender: Sender, credential: str) -> str:
    """Create an environment of an account and return its name."""
    name = uuid4().hex[:30]
    body = {"name": name, "recipe": {}}
    assert sender.send("POST", "/v1/environments", body, credential).status == 200
    return name


def test_an_environment_of_another_account_is_not_there(sender: Sender) -> None:
    """Each operation replies as for one that does not exist, and changes nothing."""
    name = made(sender, sender.other)

    for operation, fields in OPERATIONS.items():
        address = f"/v1/environments/{operation}"
        foreign = sender.send("POST", address, {"name": name, **fields})
        missing = sender.send("POST", address, {"name": "0" * 30, **fields})
        assert (foreign.status, foreign.code) == (404, "environment.not_found")
        assert foreign.data.replace(name.encode(), b"0" * 30) == missing.data
    listed = sender.send("POST", "/v1/environments/list", {"public": True}).body()["environments"]
    assert name not in [each["name"] for each in listed]
    kept = sender.send("POST", "/v1/environments/get", {"name": name}, sender.other)
    assert (kept.status, kept.body()["path"].endswith(f"/{name}")) == (200, True)


def test_a_job_cannot_run_in_an_environment_of_another_account(sender: Sender) -> None:
    """By its name or its path, while it is not public; a digest is not a name."""
    name = made(sender, sender.other)
    found = sender.send("POST", "/v1/environments/get", {"name": name}, sender.other).body()
    body = Target("POST", "/v1/jobs").body()

    for env in (
        name,
        f"setup/{name}",
        found["path"],
        "sha256:" + "0" * 64,
        "/../x",
        "//",
        "/a/",
        "base/../x",
    ):
        options = body["options"] | {"env": env}
        reply = sender.send("POST", "/v1/jobs", {**body, "options": options})
        assert (reply.status, reply.code) == (422, "request.refused"), env


@pytest.mark.parametrize("name", NAMES)
def test_names_are_plain(sender: Sender, name: str) -> None:
    """No name leads to another key."""
    reply = sender.send("POST", "/v1/environments", {"name": name, "recipe": {}})

    assert (reply.status, reply.code) == (422, "request.refused")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_has_no_options_and_no_paths(sender: Sender, recipe: dict[str, Any]) -> None:
    """It is refused before anything runs."""
    name = uuid4().hex[:30]

    reply = sender.send("POST", "/v1/environments", {"name": name, "recipe": recipe})

    assert (reply.status, reply.code) == (422, "request.refused")
    assert sender.send("POST", "/v1/environments/get", {"name": name}).status == 404
