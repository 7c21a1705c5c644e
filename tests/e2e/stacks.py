"""Stacks: a server of a test's own, with all processes that belong to it.

A new kind of stack is a class here, and a name in `STACKS` of conftest; the tests do not change.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import jwt
import msgspec
import psutil
from cloud._client.client import Client
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress
from picloud_api.settings import read
from picloud_api.store.commits import Commits
from picloud_api.store.view import View
from picloud_api.usecases.accounts.account import Accounts, new_key
from picloud_api.usecases.accounts.slot_token import AUDIENCE, slot_number
from picloud_api.wiring import Ports, embedded
from picloud_driver.scheduler.local.records import SlotRecord
from picloud_driver.secret.file import FileSecrets
from picloud_driver.state.sqlite import SqliteState

from tests import guard
from tests.e2e import processes
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_ACCOUNT: Final = "a0000001"
"""The account of `Stack.key`."""
START_S: Final = 60.0
STOP_S: Final = 30.0
CRASHING_SLOT_SERVER: Final = Path(__file__).parents[1] / "faults" / "crashing_slot_server.py"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a stack runs.

    `crashpoint` ends the server each time it passes the point of that name, `slot_crashpoint` the
    first slot that passes it. An account may have `object_bytes` in its bucket and volumes, if that
    is not 0.
    """

    slots: int = 2
    idle_s: float = 60.0
    crashpoint: str = ""
    slot_crashpoint: str = ""
    object_bytes: int = 0


LOCAL_NETWORK = "127.0.0.1/32"
"""To which webhooks of tests are posted."""


class Stack(ABC):
    """What tests ask of a stack.

    Attributes:
        url: Where its API listens; the same after every restart.
        key: An API key of its first account.
        shared: A directory that tests and jobs both see.
    """

    name: ClassVar[str]
    url: str
    key: str
    shared: Path

    @abstractmethod
    def start(self, options: Options | None = None) -> None:
        """Start it and wait until it serves; options that are given hold from now on."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it, and wait until it has ended."""

    @abstractmethod
    def processes(self) -> list[psutil.Process]:
        """Return every live process of it."""

    @abstractmethod
    def api(self) -> list[psutil.Process]:
        """Return the processes that serve its API, the master first."""

    @abstractmethod
    def slots(self) -> list[psutil.Process]:
        """Return the supervisor of each slot, the oldest first."""

    @abstractmethod
    def other_key(self) -> str:
        """Return an API key of another account; the stack must be down."""

    @abstractmethod
    def slot_token(self) -> str:
        """Return the token of a live slot of its first account."""

    @abstractmethod
    async def open_ports(self) -> Ports:
        """Open what its API works with; on the embedded stack the API must not run meanwhile."""

    @abstractmethod
    def faults(self) -> str:
        """Return what the server has logged about its own faults."""

    def restart(self, options: Options | None = None) -> None:
        """End every process at once and start the stack again on the same data."""
        self.kill9()
        self.start(options)

    def kill9(self) -> None:
        """Send SIGKILL to every process of the stack until none is left."""
        until(lambda: not self._killed(), f"every process of {self.url} is dead")

    def kill9_api(self) -> None:
        """Send SIGKILL to the API alone; slots go on."""
        for process in self.api():
            kill(process)
        until(lambda: not self.api(), "the API is dead")

    def _killed(self) -> list[psutil.Process]:
        living = self.processes()
        for process in living:
            kill(process)
        return living

    def client(self, key: str = "", *, patient: bool = False) -> Client:
        """Return a client; a patient one retries for a minute or two while the server is away."""
        config = Config()
        if patient:
            config.retry_attempts = 60
        return Client(ServerAddress(self.url, key or self.key), config)

    def environment(self) -> dict[str, str]:
        """Return the environment of a user's script on this stack."""
        inherited = {name: value for name, value in os.environ.items() if "PICLOUD" not in name}
        inherited.pop("PYTHONPATH", None)
        return inherited | {"PICLOUD_URL": self.url, "PICLOUD_API_KEY": self.key}


class EmbeddedStack(Stack):
    """`python -m picloud_api`: the server process with SQLite, files and slots on this machine."""

    name = "embedded"

    def __init__(self, root: Path, python: str = sys.executable, folder: str = "") -> None:
        guard.watch(root)
        self.url = self.key = ""
        self._python = python
        self._path = os.pathsep.join(filter(None, (os.environ.get("PATH", os.defpath), folder)))
        self.data = root / "data"
        self.shared = root / "shared"
        self.shared.mkdir()
        self._log = root / "server.log"
        self._options = Options()
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = -1

    def start(self, options: Options | None = None) -> None:
        self._options = options or self._options
        ready, write = os.pipe()
        read, owner = os.pipe()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command(), "--ready-fd", str(write), "--owner-fd", str(read)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                pass_fds=(write, read),
                start_new_session=True,
            )
        os.close(write)
        os.close(read)
        self._disown()
        self._owner = owner
        address = json.loads(self._first_line(ready))
        self.url, self.key = address["url"], address["key"]
        self._port = int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(STOP_S)
            self._process = None
        self._disown()

    def kill9(self) -> None:
        super().kill9()
        self._reap()

    def kill9_api(self) -> None:
        super().kill9_api()
        self._reap()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(STOP_S)
            self._process = None

    def processes(self) -> list[psutil.Process]:
        return processes.of_stack(self.data, self.url)

    def api(self) -> list[psutil.Process]:
        return [process for process in self.processes() if "--ready-fd" in line_of(process)]

    def slots(self) -> list[psutil.Process]:
        workers = {process.pid: process for process in self.processes() if is_of_slot(process)}
        return [worker for worker in workers.values() if parent_of(worker) not in workers]

    def other_key(self) -> str:
        return asyncio.run(self._admit(new_key()))

    async def _admit(self, key: str) -> str:
        self.data.mkdir(mode=0o700, exist_ok=True)
        secrets = FileSecrets(self.data / "secrets")
        pepper = await secrets.get_or_create("signing/pepper", lambda: os.urandom(32))
        state = SqliteState(self.data / "state.sqlite")
        accounts = Accounts(Commits(View(state), "test"), pepper, lambda: 0.0)
        await accounts.create("a0000002", "other")
        await accounts.store_key("a0000002", key)
        await state.close()
        return key

    async def open_ports(self) -> Ports:
        return await embedded(read(["--data", str(self.data)], {}), self.url)

    def slot_token(self) -> str:
        records = until(self._slot_records, "a slot of the first account lives")
        oldest = min(
            records, key=lambda record: record.stat().st_mtime
        )  # the others may just begin
        claims = {"aud": AUDIENCE, "sub": str(slot_number(oldest.stem))}
        secret = asyncio.run(FileSecrets(self.data / "secrets").get("signing/token"))
        assert secret is not None
        return jwt.encode(claims, secret, algorithm="HS256")

    def _slot_records(self) -> list[Path]:
        """Return the records of the first account's slots."""
        records = []
        for path in (self.data / "slots").glob("*.json"):
            with suppress(FileNotFoundError):  # a slot that has just ended
                record = msgspec.json.decode(path.read_bytes(), type=SlotRecord)
                if record.placement.pool.account == FIRST_ACCOUNT:
                    records.append(path)
        return records

    def faults(self) -> str:
        return self._log.read_text(errors="replace")

    def stored(self) -> list[Path]:
        """Return the files of its data; some may be gone by the time they are read."""
        # `rglob` fails if a directory is removed meanwhile.
        return [Path(folder, name) for folder, _, names in os.walk(self.data) for name in names]

    def _command(self) -> list[str]:
        program = ["-m", "picloud_api"]
        if self._options.slot_crashpoint:
            flag = self.shared.parent / "armed"
            flag.touch()
            program = [str(CRASHING_SLOT_SERVER), str(flag), self._options.slot_crashpoint]
        chosen = {"--data": self.data, "--port": self._port}
        chosen |= {"--slots": self._options.slots, "--idle": self._options.idle_s}
        arguments = [str(part) for pair in chosen.items() for part in pair]
        return [self._python, "-P", *program, *arguments]

    def _environment(self) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if "PICLOUD" not in name}
        chosen = {"PICLOUD_CRASHPOINT": self._options.crashpoint, "PATH": self._path}
        chosen["PICLOUD_WEBHOOK_NETWORKS"] = LOCAL_NETWORK
        if self._options.object_bytes:
            chosen["PICLOUD_MAX_OBJECT_BYTES"] = str(self._options.object_bytes)
        return inherited | chosen

    def _first_line(self, pipe: int) -> bytes:
        with os.fdopen(pipe, "rb") as lines:
            there = select.select([lines], [], [], START_S)[0]
            line = lines.readline() if there else b""
        assert line, f"the server is not ready:\n{self.faults()}"
        return line

    def _disown(self) -> None:
        if self._owner >= 0:
            os.close(self._owner)
        self._owner = -1


def kill(process: psutil.Process) -> None:
    """Send SIGKILL to a process, if it still exists."""
    with suppress(psutil.NoSuchProcess):
        process.kill()


def is_of_slot(process: psutil.Process) -> bool:
    """Whether a process is part of a slot; what mounts buckets in containers is not."""
    line = " ".join(line_of(process))
    return "picloud_worker" in line and "picloud_worker.mount" not in line


def line_of(process: psutil.Process) -> list[str]:
    """Return the command line of a process; empty once it has ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def parent_of(process: psutil.Process) -> int:
    """Return the pid of a process's parent; 0 once it has ended."""
    try:
        return int(process.ppid())
    except psutil.Error:
        return 0
