"""A user's home on a machine with the HashiCorp stack: data, profiles, and the user's commands."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import psutil

from tests.e2e import processes
from tests.e2e.command_line import PICLOUD
from tests.e2e.stack_hashicorp import NO_DOCKER
from tests.e2e.stacks import kill
from tests.polling import until
from tests.servers.process import binary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVERS: Final = ("consul", "vault", "s3", "nomad", "nats")
VENDORS: Final = ("AWS_", "CONSUL_", "NATS_", "NOMAD_", "PICLOUD", "VAULT_")
TIMEOUT_S: Final = 120
CALL: Final = "print(cloud.result(cloud.call(pow, 2, 10), timeout=90))"


class UserHome:
    """A directory for data and profiles, and commands that run there."""

    def __init__(self, root: Path, more: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.data = root / "data"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(VENDORS)
        }
        self.environment |= {"PICLOUD_CONFIG_DIR": str(root / "config"), "DOCKER_HOST": NO_DOCKER}
        self.environment |= more or {}

    def run(self, *command: str, status: int = 0, out: bool = False) -> str:
        """Run a program to its end; return what it printed, or its error if it is to fail.

        With `out` it is what it printed in both cases.
        """
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr if status and not out else done.stdout

    def up(self, *more: str, status: int = 0) -> str:
        """Run `picloud up`, detached by default."""
        command = [PICLOUD, "up", "--stack", "hashicorp", "--data", str(self.data)]
        return self.run(*command, *(more or ("--detach", "--port", "0")), status=status)

    def refused(self) -> str:
        """Return the one line in which `picloud up` refuses to start; no process of it is left."""
        message = self.up(status=1)
        assert len(message.splitlines()) == 1, message
        processes.assert_none(self.data)
        return message

    def down(self) -> str:
        """Run `picloud down`."""
        return self.run(PICLOUD, "down", "--data", str(self.data))

    def python(self, source: str) -> str:
        """Run Python code of the same user to its end; return what it printed."""
        return self.run(sys.executable, "-c", f"import cloud\n{source}").strip()

    def pids(self) -> dict[str, int]:
        """Return the process of each server that was started, and of the API."""
        files = {name: self.data / "stack" / f"{name}.json" for name in SERVERS}
        files["api"] = self.data / "up.json"
        return {
            name: json.loads(file.read_text())["pid"]
            for name, file in files.items()
            if file.exists()
        }

    def tokens(self) -> dict[str, str]:
        """Return the variables that `. stack/environment` sets."""
        lines = (self.data / "stack" / "environment").read_text().splitlines()
        pairs = (shlex.split(line.removeprefix("export "))[0] for line in lines)
        return dict(pair.split("=", 1) for pair in pairs)

    def bursts(self) -> str:
        """Run `nomad job status`."""
        command = [binary("nomad"), "job", "status"]
        return subprocess.run(
            command, env=self.tokens(), capture_output=True, text=True, check=True
        ).stdout

    def kill9(self, name: str) -> None:
        """Send SIGKILL to a server and to its workers."""
        process = psutil.Process(self.pids()[name])
        for one in (process, *(process.children() if name == "api" else ())):
            kill(one)
        until(lambda: not processes.alive(process), f"{name} is dead")

    def clear(self) -> None:
        """End everything that a failed test has left."""
        with contextlib.suppress(AssertionError):
            self.down()
        for process in processes.of_stack(self.data):
            kill(process)
