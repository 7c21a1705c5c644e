"""A server of a stack: recorded before it runs, found again, ended; small programs stand for it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, ClassVar

import pytest
from picloud_driver.process import Process
from picloud_driver.stack import records
from picloud_driver.stack.faults import Interrupted, StackFault
from picloud_driver.stack.servers.ports import free_ports, is_free
from picloud_driver.stack.servers.program import Program
from picloud_driver.stack.servers.stack_server import Launch, StackServer
from picloud_driver.stack.servers.startup import StartupDeadline
from picloud_driver.stack.termination import terminate
from picloud_model.errors import Unavailable

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LISTEN = """#!/usr/bin/env python3
import signal, socket, sys
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("it listens", flush=True)
signal.pause()
"""


class Teapot(StackServer[int]):
    """A server that listens at a port, which is its address."""

    name: ClassVar[str] = "teapot"
    port_names: ClassVar[tuple[str, ...]] = ("http",)
    program: ClassVar[Program] = Program(name="teapot", oldest=(1,), get="nowhere")

    def launch(self, ports: Mapping[str, int]) -> Launch:
        return Launch([str(ports["http"])], {"SPOUT": "short"})

    def address(self, ports: Mapping[str, int]) -> int:
        return ports["http"]

    def make_ready(self, address: int, deadline: StartupDeadline) -> int:
        deadline.until_listening(address)
        return address

    @staticmethod
    def check(address: int) -> None:
        if is_free(address):
            raise Unavailable

    def configured(self, environment: Mapping[str, str]) -> int | None:
        return int(environment["TEAPOT"]) if "TEAPOT" in environment else None


class Installation:
    """A data directory, and a program that plays the server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.teapot = Teapot(root / "data")
        self.environment = {"XDG_CACHE_HOME": str(root), "SECRET": "of the user's"}

    def install(self, source: str) -> None:
        """Install a program as the server."""
        path = self.root / "picloud" / "servers" / "teapot-1.0.0"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        path.chmod(0o755)

    def start_ready(self) -> records.ProcessRecord:
        """Start it and wait until it listens."""
        record = self.start()
        self.make_ready(record)
        return record

    def start(self) -> records.ProcessRecord:
        """Start it."""
        self.teapot.reserve()
        return self.teapot.start(self.environment)

    def make_ready(self, record: records.ProcessRecord, timeout_s: float = 20.0) -> None:
        """Wait until it listens."""
        process = record.process()
        assert process is not None
        with contextlib.closing(process):
            deadline = time.monotonic() + timeout_s
            startup = StartupDeadline(self.teapot, process, deadline, threading.Event())
            self.teapot.make_ready(self.teapot.address(record.ports), startup)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    """An installed server that listens; its process ends with the test."""
    installation = Installation(tmp_path)
    installation.install(LISTEN)
    yield installation
    with contextlib.suppress(StackFault):
        if process := installation.teapot.record().process():
            process.destroy()
            process.close()


def test_a_record_finds_the_process(installed: Installation) -> None:
    """Another process that reads the same data knows that it is running, and where."""
    record = installed.start_ready()

    again = Teapot(installed.root / "data").record()

    assert again == record
    assert again.is_running()


def test_a_record_of_an_ended_process_keeps_its_ports(installed: Installation) -> None:
    """A server that was killed is started again on the ports that others know."""
    record = installed.start_ready()
    os.kill(record.pid, signal.SIGKILL)
    until(lambda: not record.is_running(), "the server has ended")

    again = installed.start_ready()

    assert again.ports == record.ports
    assert again.pid != record.pid


def test_a_pid_given_to_another_process_is_not_the_server(installed: Installation) -> None:
    """Its time of birth differs."""
    record = records.ProcessRecord(os.getpid(), "another boot:1", {"http": 1})
    records.write(installed.root / "data" / "stack" / "teapot.json", record)

    assert not installed.teapot.record().is_running()


def test_no_server_runs_unrecorded(installed: Installation) -> None:
    """The program waits until its record is on disk, and ends if it cannot be written."""
    ran = installed.root / "ran"
    installed.install(f"#!/bin/sh\ntouch {ran}\n")
    # A directory is in the place of the record.
    (installed.root / "data" / "stack" / "teapot.json").mkdir(parents=True)

    with pytest.raises(StackFault):
        installed.start()

    assert not ran.exists()


def test_its_environment_is_its_own(installed: Installation) -> None:
    """It inherits no variable of this process, and gets those of its `Launch`."""
    installed.install("#!/bin/sh\nenv; exec sleep 60")

    record = installed.start()

    until(lambda: "SPOUT=short" in installed.teapot.tail(), "it has logged its environment")
    assert record.is_running()
    assert "SECRET" not in installed.teapot.tail()
    assert installed.teapot.log.stat().st_mode & 0o077 == 0


def test_a_port_taken_by_another_program_is_an_error(installed: Installation) -> None:
    """The server does not move to another port, as clients may know this one."""
    (port,) = free_ports(1)
    path = installed.root / "data" / "stack" / "teapot.json"
    records.write(path, records.ProcessRecord(ports={"http": port}, settled=True))

    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(StackFault, match=f"Port {port}, which teapot has here, is taken"),
    ):
        installed.start()


def test_a_server_that_ends_at_once_is_reported_with_its_log(installed: Installation) -> None:
    """The wait does not last until the deadline."""
    installed.install("#!/bin/sh\necho 'the handle is broken'; sleep 0.1; exit 3")

    with pytest.raises(StackFault, match=r"teapot ended at once, with exit status 3") as raised:
        installed.make_ready(installed.start())

    assert raised.value.tail == "the handle is broken"


def test_a_server_that_is_not_ready_in_time_is_reported(
    installed: Installation,
) -> None:
    """The error also has the end of its log."""
    installed.install("#!/bin/sh\necho 'heating up'; exec sleep 60")
    record = installed.start()
    until(installed.teapot.tail, "it has logged something")

    with pytest.raises(StackFault, match=r"teapot was not ready within .* refused") as raised:
        installed.make_ready(record, timeout_s=0.3)

    assert raised.value.tail == "heating up"


def test_the_wait_ends_when_another_server_has_failed(installed: Installation) -> None:
    """One failure interrupts the waits for all servers."""
    installed.install("#!/bin/sh\nexec sleep 60")
    record = installed.start()
    process = record.process()
    assert process is not None
    given_up = threading.Event()
    given_up.set()
    startup = StartupDeadline(installed.teapot, process, time.monotonic() + 60, given_up)

    with contextlib.closing(process), pytest.raises(Interrupted):
        startup.until_listening(record.ports["http"])


def test_a_server_that_ignores_sigterm_is_killed(installed: Installation) -> None:
    """The processes that it has started are killed, too."""
    installed.install("#!/bin/sh\ntrap '' TERM\nsleep 600 & echo $!\nwhile :; do wait; done\n")
    record = installed.start()
    process = record.process()
    assert process is not None
    until(installed.teapot.tail, "the pid of its child is logged")

    with contextlib.closing(process):
        terminate(process, term_s=0.2)

    assert not record.is_running()
    pid = int(installed.teapot.tail())
    until(lambda: not ((child := Process.find(pid)) and child.alive()), "its child has ended")


def test_a_damaged_record_is_an_error(installed: Installation) -> None:
    """The error names the file and says what to do; no process is guessed."""
    path = installed.root / "data" / "stack" / "teapot.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"pid": "one"}))

    with pytest.raises(StackFault, match=f"{path} is damaged: end the teapot that it names"):
        installed.teapot.record()


def test_one_process_at_a_time_changes_a_stack(tmp_path: Path) -> None:
    """A second one waits for the lock of the data directory."""
    order: list[str] = []

    def second() -> None:
        with records.exclusive(tmp_path):
            order.append("second")

    with records.exclusive(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()

    assert order == ["first", "second"]


def test_ports_reserved_for_other_servers_are_not_chosen(installed: Installation) -> None:
    """A server that does not listen yet has its ports already."""
    all_but_one = set(range(10_000, 20_000)) - {(lucky := free_ports(1)[0])}

    installed.teapot.reserve(all_but_one)

    assert installed.teapot.record().ports == {"http": lucky}


def test_ports_are_for_good_once_it_was_ready(installed: Installation) -> None:
    """Until then a port that was taken is replaced, afterwards never."""
    installed.teapot.reserve()
    (first,) = installed.teapot.record().ports.values()
    installed.teapot.reserve({first})
    (second,) = installed.teapot.record().ports.values()

    installed.teapot.keep_ports()
    with pytest.raises(StackFault, match=f"Port {second}, which teapot has here, is taken"):
        installed.teapot.reserve({second})

    assert first != second
    assert installed.teapot.record().ports == {"http": second}
