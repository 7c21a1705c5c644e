"""Records of environments: the version that is current, and what a path names."""

from __future__ import annotations

import pytest
from picloud_api.store import layout
from picloud_api.usecases.environments.environment_record import (
    EnvironmentRecord,
    environment_key,
    owner_and_name,
)
from picloud_model.wire.environment import Recipe, StoredVersion


def version(number: int) -> StoredVersion:
    """Return a version."""
    return StoredVersion(
        number=number,
        image=f"sha256:{number:064}",
        base="base/python3.11",
        python="3.11",
        made_at=1.0,
        recipe=Recipe(pip=["six"]),
    )


def test_the_current_version_is_the_last_one_that_was_complete() -> None:
    """What is being built is the latest, but not the current one."""
    building = EnvironmentRecord(desc="", created_at=1.0, modified_at=1.0, pending=version(1))
    built = EnvironmentRecord(
        desc="", created_at=1.0, modified_at=1.0, history=(version(1), version(3))
    )

    assert (building.current, building.latest, building.next_number) == (None, version(1), 1)
    assert (built.current, built.latest, built.next_number) == (version(3), version(3), 4)


def test_a_record_is_read_as_it_was_stored() -> None:
    """With its versions and their recipes."""
    record = EnvironmentRecord(
        desc="x", created_at=1.0, modified_at=2.0, public=True, history=(version(1),)
    )

    assert layout.decode(environment_key("a1", "x"), layout.encode(record)) == record


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x", ("a1", "x")),
        ("/a2/x", ("a2", "x")),
        ("/a2/x/y", ("a2", "x/y")),
        ("/a2", ("a1", "")),
        ("/picloud/x", ("a0000001", "x")),
        ("/picloud", ("a1", "")),
    ],
)
def test_a_path_names_an_owner(path: str, expected: tuple[str, str]) -> None:
    """What is not a path has no name, which no environment has."""
    assert owner_and_name("a1", path) == expected
