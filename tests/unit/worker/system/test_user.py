"""The user of the children of an isolated slot."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
from picloud_worker.system import process_lifetime, procfs
from picloud_worker.system.user import NoUsersError, User

USERS = [User("root", 0, 0), *(User(f"emp{n}", 20_000 + n, 20_000 + n) for n in range(1, 65))]


def test_a_place_has_one_user_and_places_share_them() -> None:
    """The same place has the same user; many places have many of them, never root."""
    chosen = [User.of(f"place-{n}", USERS) for n in range(500)]

    assert User.of("place-7", reversed(USERS)) == chosen[7]
    assert len({user.uid for user in chosen}) > 50
    assert all(user.uid > 20_000 for user in chosen)


def test_without_such_a_user_no_job_runs() -> None:
    """The name is not enough: `emp1` with the user id of root would be root."""
    with pytest.raises(NoUsersError):
        User.of("a", [User("root", 0, 0), User("emp1", 0, 0), User("emperor", 5, 5)])


def test_a_process_that_became_it_has_no_rights_and_its_ports_are_listed() -> None:
    """The supervisor sees where a job listens, although it may not read the job's descriptors.

    Only root can become another user: without root, this test keeps its user.
    """
    reader, writer = os.pipe()
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
            os.write(writer, b"1")
            signal.pause()
        finally:
            os._exit(1)
    try:
        os.read(reader, 1)
        status = Path(f"/proc/{child}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
        assert port in procfs.listening(child)["tcp"]
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
