"""Jids that know their client: to everything else numbers and ranges."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cloud import CloudException
from cloud._arguments.handles import OwnedJid, OwnedJids
from cloud._arguments.jids import check_owner, read_jids
from cloud._http.transport import ServerAddress


def client(url: str, key: str, *keys: str) -> SimpleNamespace:
    """A client, whose account has some keys."""
    return SimpleNamespace(address=ServerAddress(url, key), has_key=keys.__contains__)


HERE = client("http://here", "pk_1_x")
AGAIN = client("http://here/", "pk_1_x")
THERE = client("http://there", "pk_1_x", "1")
OWN_KEY = client("http://here", "pk_3_z", "1", "3")
OTHER_KEY = client("http://here", "pk_2_y", "2")


class Jid(OwnedJid):
    owner = HERE


JIDS = OwnedJids(range(3, 8), Jid)


def test_consecutive_jids_are_a_sequence_like_a_range() -> None:
    """Whatever a range does they do, and items are of the kind that was given."""
    span = range(3, 8)

    assert span == JIDS
    assert span == JIDS
    assert hash(JIDS) == hash(span)
    assert {span: 1}[JIDS] == 1  # type: ignore[index]
    assert (JIDS.start, JIDS.stop, JIDS.step, len(JIDS)) == (3, 8, 1, 5)
    assert (list(JIDS), list(reversed(JIDS))) == (list(span), list(reversed(span)))
    assert (JIDS[0], JIDS[-1], JIDS.index(5), JIDS.count(5), JIDS.count(9)) == (3, 7, 2, 1, 0)
    assert (5 in JIDS, 8 in JIDS) == (True, False)
    assert {type(each) for each in (*JIDS, *reversed(JIDS), JIDS[1], *JIDS[::2])} == {Jid}
    assert not OwnedJids(range(0), Jid)


def test_an_index_that_is_too_large_is_the_callers() -> None:
    """The traceback ends where the program asked for it."""
    with pytest.raises(IndexError, match="there are 5 jobs") as caught:
        JIDS[5]

    assert [frame.name for frame in caught.traceback] == [
        "test_an_index_that_is_too_large_is_the_callers"
    ]


def test_a_part_of_them_is_of_the_same_type() -> None:
    """A slice with a step, which is not consecutive, is a list."""
    assert isinstance(JIDS[1:3], OwnedJids)
    assert JIDS[1:3] == range(4, 6)
    assert JIDS[::2] == [3, 5, 7]


def test_they_are_read_as_jids() -> None:
    """Alone, in lists and mixed with numbers; what is read are plain numbers."""
    assert read_jids(JIDS).order == range(3, 8)
    assert read_jids([JIDS, Jid(9), 12]).order == [3, 4, 5, 6, 7, 9, 12]
    assert read_jids(Jid(9)).single
    assert {type(each) for each in read_jids([Jid(9), Jid(12), [Jid(14)]]).order} == {int}


@pytest.mark.parametrize("jids", [Jid(3), JIDS, [1, Jid(3)], [JIDS], [[Jid(3)]]])
def test_those_of_another_account_are_refused(jids: object) -> None:
    """Their numbers would name other jobs; another key of the account names the same."""
    for owner in (HERE, AGAIN, OWN_KEY, None):
        read_jids(jids, owner)  # type: ignore[arg-type]

    with pytest.raises(CloudException, match=r"made with http://here, and .* http://there"):
        read_jids(jids, THERE)  # type: ignore[arg-type]
    with pytest.raises(
        CloudException, match=r"made with the API key 1, and .* the key 2 of another account"
    ):
        check_owner(jids, OTHER_KEY)  # type: ignore[arg-type]
