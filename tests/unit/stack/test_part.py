"""A server's process: recorded before it runs, found again, ended; played by small programs."""

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
from picloud_driver.scheduler.local_process import Process
from picloud_driver.stack import records
from picloud_driver.stack.faults import Interrupted, StackFault
from picloud_driver.stack.part import Launch, Part
from picloud_driver.stack.ports import free_ports, is_free
from picloud_driver.stack.program import Program
from picloud_driver.stack.wait import Wait, end
from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LISTEN = """#!/usr/bin/env python3
import signal, socket, sys
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("it listens", flush=True)
signal.pause()
"""


class Teapot(Part[int]):
    """A server that listens at a port; it is reached by its number."""

    name: ClassVar[str] = "teapot"
    port_names: ClassVar[tuple[str, ...]] = ("http",)
    program: ClassVar[Program] = Program(name="teapot", oldest=(1,), get="nowhere")

    def launch(self, ports: Mapping[str, int]) -> Launch:
        return Launch([str(ports["http"])], {"SPOUT": "short"})

    def way(self, ports: Mapping[str, int]) -> int:
        return ports["http"]

    def settle(self, way: int, wait: Wait) -> int:
        wait.until_it_listens(way)
        return way

    @staticmethod
    def check(way: int) -> None:
        if is_free(way):
            raise Unavailable

    def given(self, environment: Mapping[str, str]) -> int | None:
        return int(environment["TEAPOT"]) if "TEAPOT" in environment else None


class Kitchen:
    """A data directory, and a program that is the server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.teapot = Teapot(root / "data")
        self.environment = {"XDG_CACHE_HOME": str(root), "SECRET": "of the user's"}

    def install(self, source: str) -> None:
        """Make this program the server."""
        path = self.root / "picloud" / "servers" / "teapot-1.0.0"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        path.chmod(0o755)

    def begin(self) -> records.Record:
        """Start it and wait until it listens."""
        record = self.start()
        self.settle(record)
        return record

    def start(self) -> records.Record:
        """Start it."""
        self.teapot.reserve()
        return self.teapot.start(self.environment)

    def settle(self, record: records.Record, patience_s: float = 20.0) -> None:
        """Wait until it listens."""
        process = record.process()
        assert process is not None
        with contextlib.closing(process):
            deadline = time.monotonic() + patience_s
            wait = Wait(self.teapot, process, deadline, threading.Event())
            self.teapot.settle(self.teapot.way(record.ports), wait)


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    """A place with a server that listens; what runs there ends with the test."""
    found = Kitchen(tmp_path)
    found.install(LISTEN)
    yield found
    with contextlib.suppress(StackFault):
        if process := found.teapot.record().process():
            process.destroy()
            process.close()


def test_a_record_finds_the_process(kitchen: Kitchen) -> None:
    """Another look at the same data knows that it runs, and where."""
    record = kitchen.begin()

    again = Teapot(kitchen.root / "data").record()

    assert again == record
    assert again.lives()


def test_a_record_of_an_ended_process_keeps_its_ports(kitchen: Kitchen) -> None:
    """A server that was killed comes back where everybody knows it to be."""
    record = kitchen.begin()
    os.kill(record.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while record.lives():
        assert time.monotonic() < deadline

    again = kitchen.begin()

    assert again.ports == record.ports
    assert again.pid != record.pid


def test_a_pid_given_to_another_process_is_not_the_server(kitchen: Kitchen) -> None:
    """The time of its birth tells it apart."""
    record = records.Record(os.getpid(), "another boot:1", {"http": 1})
    records.write(kitchen.root / "data" / "stack" / "teapot.json", record)

    assert not kitchen.teapot.record().lives()


def test_nothing_runs_that_is_not_recorded(kitchen: Kitchen) -> None:
    """The program waits until its record is on the disk, and ends if that cannot be written."""
    ran = kitchen.root / "ran"
    kitchen.install(f"#!/bin/sh\ntouch {ran}\n")
    # A directory is where the record should be.
    (kitchen.root / "data" / "stack" / "teapot.json").mkdir(parents=True)

    with pytest.raises(StackFault):
        kitchen.start()

    assert not ran.exists()


def test_its_environment_is_its_own(kitchen: Kitchen) -> None:
    """Nothing of ours reaches it, but what it is to have."""
    kitchen.install("#!/bin/sh\nenv; exec sleep 60")

    record = kitchen.start()

    deadline = time.monotonic() + 10
    while "SPOUT=short" not in kitchen.teapot.tail():
        assert time.monotonic() < deadline
    assert record.lives()
    assert "SECRET" not in kitchen.teapot.tail()
    assert kitchen.teapot.log.stat().st_mode & 0o077 == 0


def test_a_port_that_is_taken_meanwhile_is_told(kitchen: Kitchen) -> None:
    """It is not given up for another one, as others may know it."""
    (port,) = free_ports(1)
    path = kitchen.root / "data" / "stack" / "teapot.json"
    records.write(path, records.Record(ports={"http": port}, settled=True))

    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(StackFault, match=f"Port {port}, which teapot has here, is taken"),
    ):
        kitchen.start()


def test_a_server_that_ends_at_once_is_told_with_its_last_words(kitchen: Kitchen) -> None:
    """Nobody waits for it to the end."""
    kitchen.install("#!/bin/sh\necho 'the handle is broken'; sleep 0.1; exit 3")

    with pytest.raises(StackFault, match=r"teapot ended at once, with exit status 3") as told:
        kitchen.settle(kitchen.start())

    assert told.value.tail == "the handle is broken"


def test_a_server_that_is_not_ready_in_time_is_told_with_the_reason(kitchen: Kitchen) -> None:
    """And with the end of its log."""
    kitchen.install("#!/bin/sh\necho 'heating up'; exec sleep 60")
    record = kitchen.start()

    with pytest.raises(StackFault, match=r"teapot was not ready within .* refused") as told:
        kitchen.settle(record, patience_s=0.3)

    assert told.value.tail == "heating up"


def test_nobody_waits_when_another_server_has_failed(kitchen: Kitchen) -> None:
    """One that fails ends the patience with all."""
    kitchen.install("#!/bin/sh\nexec sleep 60")
    record = kitchen.start()
    process = record.process()
    assert process is not None
    given_up = threading.Event()
    given_up.set()
    wait = Wait(kitchen.teapot, process, time.monotonic() + 60, given_up)

    with contextlib.closing(process), pytest.raises(Interrupted):
        wait.until_it_listens(record.ports["http"])


def test_a_server_that_does_not_listen_to_reason_is_killed(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With whatever it has started."""
    monkeypatch.setattr("picloud_driver.stack.wait.TERM_S", 0.2)
    kitchen.install("#!/bin/sh\ntrap '' TERM\nsleep 600 & echo $!\nwhile :; do wait; done\n")
    record = kitchen.start()
    process = record.process()
    assert process is not None
    deadline = time.monotonic() + 10
    while not kitchen.teapot.tail():
        assert time.monotonic() < deadline

    with contextlib.closing(process):
        end(process)

    assert not record.lives()
    left = Process.find(int(kitchen.teapot.tail()))
    assert left is None or not left.alive()


def test_a_damaged_record_is_told(kitchen: Kitchen) -> None:
    """Nothing is guessed about a process; the file is named, and what to do."""
    path = kitchen.root / "data" / "stack" / "teapot.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"pid": "one"}))

    with pytest.raises(StackFault, match=f"{path} is damaged: end the teapot that it told of"):
        kitchen.teapot.record()


def test_one_at_a_time(tmp_path: Path) -> None:
    """Whoever starts or ends something on a data directory waits for who is at it."""
    order: list[str] = []

    def second() -> None:
        with records.held(tmp_path):
            order.append("second")

    with records.held(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()

    assert order == ["first", "second"]


def test_ports_that_others_have_are_left_to_them(kitchen: Kitchen) -> None:
    """Servers that do not listen yet have theirs already."""
    all_but_one = set(range(10_000, 20_000)) - {(lucky := free_ports(1)[0])}

    kitchen.teapot.reserve(all_but_one)

    assert kitchen.teapot.record().ports == {"http": lucky}


def test_ports_are_for_good_once_it_was_ready(kitchen: Kitchen) -> None:
    """Until then another takes their place when somebody was faster, afterwards never."""
    kitchen.teapot.reserve()
    (first,) = kitchen.teapot.record().ports.values()
    kitchen.teapot.reserve({first})
    (second,) = kitchen.teapot.record().ports.values()

    kitchen.teapot.keep()
    with pytest.raises(StackFault, match=f"Port {second}, which teapot has here, is taken"):
        kitchen.teapot.reserve({second})

    assert first != second
    assert kitchen.teapot.record().ports == {"http": second}
