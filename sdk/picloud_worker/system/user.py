"""The user that children run as where slots are isolated: one of `empN`, with no other right.

A supervisor in a container is its root with the capabilities SETUID, SETGID and KILL. A child gives
them up before it runs user code, for good: what it starts cannot get them back either.
"""

from __future__ import annotations

import os
import re
import zlib
from typing import TYPE_CHECKING, Final, Self

import msgspec

from picloud_worker.system import process_lifetime, seccomp

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMES: Final = re.compile(r"emp[1-9][0-9]*")


class NoUsersError(Exception):
    """There is nobody that children could run as."""


class User(msgspec.Struct, frozen=True):
    """A user of this machine or container."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, place: str, known: Iterable[Self]) -> Self:
        """The user of a place; neighbours on a machine mostly get different ones.

        Raises:
            NoUsersError: When none is known.

        >>> User.of("a", [User("root", 0, 0), User("emp1", 20001, 20001)]).name
        'emp1'
        """
        found = [user for user in known if _NAMES.fullmatch(user.name) and user.uid]
        found.sort(key=lambda user: user.uid)
        if not found:
            raise NoUsersError("no user emp1, emp2, ... is known here: use an image of PiCloud's")
        return found[zlib.crc32(place.encode()) % len(found)]

    def become(self) -> None:
        """Turn this process into the user's: no capability, no way to get one, no other group.

        Raises:
            OSError: When the system refuses; the process must not go on then.
        """
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        process_lifetime.set_no_new_privs()
        seccomp.refuse_io_uring()
        # A change of user hides a process from itself: its own /proc is root's after it.
        process_lifetime.show_memory()


def known() -> list[User]:
    """The users of this machine or container."""
    import pwd  # noqa: PLC0415 - not every system has it, and only containers need it

    return [User(entry.pw_name, entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()]
