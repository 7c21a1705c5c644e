"""The user of the children of an isolated slot: one of `empN`, without any other right.

A supervisor in a container is root there, with the capabilities SETUID, SETGID and KILL. A child
drops them for good before it runs user code: what it starts cannot regain them either.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from typing import TYPE_CHECKING, Final, Self

import msgspec

from picloud_worker.system import process_lifetime, seccomp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROOT: Final = 0
_NAMES: Final = re.compile(r"emp[1-9][0-9]*")


class NoUsersError(Exception):
    """There is no user for children."""


class User(msgspec.Struct, frozen=True):
    """A user of this machine or container."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, place: str, users: Iterable[Self]) -> Self:
        """Return the user of a place; most places on a machine get different ones.

        Raises:
            NoUsersError: When there is none.

        >>> User.of("a", [User("root", 0, 0), User("emp1", 20001, 20001)]).name
        'emp1'
        """
        candidates = [user for user in users if _NAMES.fullmatch(user.name) and user.uid]
        candidates.sort(key=lambda user: user.uid)
        if not candidates:
            raise NoUsersError("there is no user emp1, emp2, ... here: use an image of PiCloud's")
        return candidates[zlib.crc32(place.encode()) % len(candidates)]

    def become(self) -> None:
        """Make this process the user's: no capability, no way to gain one, no other group.

        Raises:
            OSError: When the system refuses; the process must exit then.
        """
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        process_lifetime.set_no_new_privs()
        seccomp.refuse_io_uring()
        # A change of user hides a process from itself: its own /proc then belongs to root.
        process_lifetime.show_memory()


@contextlib.contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """See what only a user may see of their processes; root without rights sees less of them."""
    own_gid = os.getegid()
    if os.geteuid() != _ROOT or uid == _ROOT:
        yield
        return
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(_ROOT)
        os.setegid(own_gid)


def all_users() -> list[User]:
    """Return the users of this machine or container."""
    import pwd  # noqa: PLC0415 - some systems lack it, and only containers need it

    return [User(entry.pw_name, entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()]
