"""Info keys: names, groups and refusals."""

from __future__ import annotations

import pytest
from picloud_model.errors import RequestRefused
from picloud_model.info import ALL, GROUPS, LIVE, STREAMS, InfoKey, members, read_keys


def test_all_stands_for_every_key() -> None:
    """Each key comes once, however often it is named."""
    assert read_keys(["stdout", ALL, "stdout"])[0] is InfoKey.STDOUT
    assert sorted(read_keys([ALL])) == sorted(InfoKey)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_stands_for_its_keys(group: str) -> None:
    """A group has at least one key, and each begins with the group's name."""
    keys = read_keys([group])

    assert keys == members(group)
    assert keys
    assert all(key.value.startswith(f"{group}.") for key in keys)


def test_an_unknown_key_is_refused_with_the_keys_there_are() -> None:
    """The message names the wrong key and lists the right ones."""
    with pytest.raises(RequestRefused, match="There is no info key 'xyz'; there are") as raised:
        read_keys(["status", "xyz"])

    assert raised.value.field == "keys"
    assert all(str(key) in raised.value.message for key in (*InfoKey, *GROUPS))


def test_streams_are_live() -> None:
    """What grows while a job runs can be read from its slot."""
    assert set(STREAMS) <= LIVE


def test_a_misspelt_key_is_refused_with_the_right_one() -> None:
    """A list of all keys would hide it."""
    with pytest.raises(RequestRefused, match=r"no info key 'stdot'; did you mean stdout\?$"):
        read_keys(["stdot"])
