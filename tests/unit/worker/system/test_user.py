"""The user that children become where slots are isolated."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
from pathlib import Path

import pytest
from picloud_worker import settings
from picloud_worker.system import process_lifetime, procfs, seccomp
from picloud_worker.system.user import NoUsersError, User

KNOWN = [User("root", 0, 0), *(User(f"emp{n}", 20_000 + n, 20_000 + n) for n in range(1, 65))]


def test_a_place_has_one_user_and_places_share_them_out() -> None:
    """The same place gets the same user; many places get many of them, never root."""
    chosen = [User.of(f"place-{n}", KNOWN) for n in range(500)]

    assert User.of("place-7", reversed(KNOWN)) == chosen[7]
    assert len({user.uid for user in chosen}) > 50
    assert all(user.uid > 20_000 for user in chosen)


def test_without_such_a_user_nothing_runs() -> None:
    """A name alone is not enough: `emp1` with the user id of root would be root."""
    with pytest.raises(NoUsersError):
        User.of("a", [User("root", 0, 0), User("emp1", 0, 0), User("emperor", 5, 5)])


def test_only_the_command_line_of_a_container_drops() -> None:
    """Everywhere else jobs run as the user of the worker."""
    told = ["--url", "u", "--proof-fd", "3", "--place", "p"]

    assert settings.read(told, {}).drops is False
    assert settings.read([*told, "--drop"], {}).drops is True


def test_who_has_become_it_has_no_rights_and_its_ports_are_told() -> None:
    """The supervisor sees where a job listens, though it may not look at the job's files.

    Only root can become somebody else: another user is itself here.
    """
    ready, says = os.pipe()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    if (child := os.fork()) == 0:
        try:
            if os.geteuid() == 0:
                User("emp1", 20_001, 20_001).become()
            else:
                process_lifetime.set_no_new_privs()
            listener = socket.create_server(("127.0.0.1", port))
            os.write(says, b"1")
            signal.pause()
        finally:
            os._exit(1)
    try:
        os.read(ready, 1)
        status = Path(f"/proc/{child}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
        assert port in procfs.listening(child)["tcp"]
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(says)


def test_a_child_is_refused_io_uring_and_nothing_else() -> None:
    """Its three calls are refused; those beside them are answered as before."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        process_lifetime.set_no_new_privs()
        seccomp.refuse_io_uring()
        said = []
        for number in (424, 425, 426, 427, 428):
            ctypes.set_errno(0)
            refused = libc.syscall(number, -1, 0, 0, 0, 0, 0) == -1
            said.append(errno.errorcode[ctypes.get_errno()] if refused else "")
        os.write(write, " ".join(said).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        before, *told, after = answer.read().split()
    os.waitpid(child, 0)

    assert told == ["EPERM"] * 3
    assert (before, after) == ("EBADF", "EFAULT")
