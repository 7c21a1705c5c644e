"""Roles: each may do what the later ones may."""

from __future__ import annotations

import pytest
from picloud_model.wire.role import Role


@pytest.mark.parametrize(
    ("role", "included"),
    [
        (Role.OWNER, [Role.OWNER, Role.MEMBER, Role.READER]),
        (Role.MEMBER, [Role.MEMBER, Role.READER]),
        (Role.READER, [Role.READER]),
    ],
)
def test_roles_include_the_later_ones(role: Role, included: list[Role]) -> None:
    """An owner may do everything, a reader only what a reader may."""
    assert [each for each in Role if role.includes(each)] == included
