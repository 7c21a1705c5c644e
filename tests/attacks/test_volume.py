"""Volumes of other accounts, names that lead elsewhere, and snapshots that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from tests.attacks.openapi_targets import Target

if TYPE_CHECKING:
    from tests.attacks.sender import Sender

OPERATIONS: Final[dict[str, dict[str, object]]] = {
    "get": {},
    "delete": {},
    "grow": {"size": 1},
    "commit": {"base": 0, "snapshot": "0" * 64},
}
"""Operations that name one volume, and their other fields."""
NAMES: Final = (
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\n",
    "a:b",
    "%2e%2e",
    "\u00fc",
    "x" * 65,
    "$x",
    "a b",
)
PATHS: Final = (
    "", ".", "/", "/..", "/data/..", "/usr", "/etc/x", "//proc/self", "/dev/shm", "/data\n/x",
    "data", "/a\0b", "/${x}", "/{{x}}", "/\u202e", "/sys", "/run/x", "/bucket",
)  # fmt: skip


def submit(volume: str) -> dict[str, Any]:
    """Return a submit whose job would mount a volume."""
    body = Target("POST", "/v1/jobs").body()
    return {**body, "options": body["options"] | {"vols": [volume]}}


def test_a_volume_of_another_account_is_not_there(sender: Sender) -> None:
    """Each operation replies as for a volume that does not exist, and changes nothing."""
    name = uuid4().hex
    made = {"name": name, "mount_path": "/data"}
    assert sender.send("POST", "/v1/volumes", made, sender.other).status == 200

    for operation, fields in OPERATIONS.items():
        address = f"/v1/volumes/{operation}"
        foreign = sender.send("POST", address, {"name": name, **fields})
        missing = sender.send("POST", address, {"name": "0" * 32, **fields})
        assert (foreign.status, foreign.code) == (404, "volume.not_found")
        assert foreign.data.replace(name.encode(), b"0" * 32) == missing.data
    listed = sender.send("POST", "/v1/volumes/list", {}).body()["volumes"]
    assert name not in [volume["name"] for volume in listed]
    gone = sender.send("POST", "/v1/volumes/delete", {"name": name}, sender.other)
    assert gone.status == 200


def test_a_job_cannot_mount_a_volume_of_another_account(sender: Sender) -> None:
    """A submit that names it is refused like one that names none, and makes no job."""
    name = uuid4().hex
    made = {"name": name, "mount_path": "/data"}
    assert sender.send("POST", "/v1/volumes", made, sender.other).status == 200

    foreign, missing, elsewhere = (
        sender.send("POST", "/v1/jobs", submit(each))
        for each in (name, "0" * 32, f"../{name}"[:40])
    )

    assert (foreign.status, foreign.code) == (422, "request.refused")
    assert foreign.data.replace(name.encode(), b"0" * 32) == missing.data
    assert elsewhere.status == 422
    gone = sender.send("POST", "/v1/volumes/delete", {"name": name}, sender.other)
    assert gone.status == 200


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_nowhere(sender: Sender, name: str) -> None:
    """What is not a name is refused before it becomes a part of a key."""
    reply = sender.send("POST", "/v1/volumes", {"name": name, "mount_path": "/data"})

    assert reply.status == 422


@pytest.mark.parametrize("path", PATHS)
def test_a_mount_path_hides_nothing(sender: Sender, path: str) -> None:
    """Directories that programs need, and text that is not a path, are refused."""
    reply = sender.send("POST", "/v1/volumes", {"name": uuid4().hex, "mount_path": path})

    assert reply.status == 422
