"""The locks of a process: what counts as held, and what is renewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud._sharing.held_locks import HeldHere, HeldLocks, renew

from tests.polling import until

if TYPE_CHECKING:
    from picloud_model.wire.lock import HeldLock


class Renewals:
    """What renews locks; it reports those whose names are in `lost`."""

    def __init__(self) -> None:
        self.lost: set[str] = set()
        self.asked: list[list[str]] = []

    def renew(self, locks: list[HeldLock]) -> set[int]:
        """Note what is renewed."""
        self.asked.append([each.name for each in locks])
        return {at for at, each in enumerate(locks) if each.name in self.lost}


def held(name: str, client: Renewals, held_s: float = 8.0) -> HeldHere:
    """Return a lock that was just taken."""
    taken = HeldHere(name, "0" * 32, client)  # type: ignore[arg-type]
    taken.held_s = held_s
    return taken


def test_a_lock_counts_as_held_until_its_time_is_over() -> None:
    """The time counts from the request; one that is bound to a job has no end."""
    client = Renewals()
    mine, of_job = held("a", client), held("b", client, held_s=0.0)
    mine.renewed(0.0)  # long ago
    of_job.renewed(0.0)

    assert (mine.is_valid, of_job.is_valid) == (False, True)
    renew(client, [mine, of_job])  # type: ignore[arg-type]
    assert (mine.is_valid, of_job.is_valid) == (True, True)
    client.lost = {"b"}
    renew(client, [mine, of_job])  # type: ignore[arg-type]
    assert (mine.is_valid, of_job.is_valid) == (True, False)


def test_a_thread_renews_what_is_held_and_ends_with_it() -> None:
    """One request renews all; locks of jobs are not renewed."""
    client, locks = Renewals(), HeldLocks(renew_s=0.01)
    mine, other, of_job = held("a", client), held("b", client), held("c", client, held_s=0.0)
    for each in (of_job, mine, other):
        locks.add(each)

    until(lambda: client.asked, "a renewal")
    for each in (mine, other, of_job):
        locks.drop(each)

    assert client.asked[0] == ["a", "b"]
    until(lambda: locks._renewer is None, "the end of the thread")
