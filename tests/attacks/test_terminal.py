"""Escape sequences in everything that a job can output: no command passes one to a terminal."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from cloud._client.client import Client
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress, Transport
from picloud.output import clean

from tests.attacks.corpus import ESCAPES
from tests.attacks.held_job import closed_gate, wait_at
from tests.e2e.terminal import Terminal
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from picloud_model.wire import Answer

    from tests.e2e.stacks import Stack

SEVERAL: Final = """
import sys, time, types
import picloud.app, picloud.commands.top
def stop(seconds):
    raise KeyboardInterrupt
picloud.commands.top.time = types.SimpleNamespace(time=time.time, sleep=stop)
for line in sys.argv[1].splitlines():
    print("==", line, flush=True)
    sys.argv = ["picloud", *line.split()]
    try:
        picloud.app.main()
    except SystemExit:
        pass
"""
"""Runs one command after the other, as one process would; `top` is left after its first screen."""
COMMANDS: Final = """
result {done}
result {done},{done}
result {failed}
join {failed}
logs {done}
logs {done} --logging
logs {done} --follow
logs {failed}
info {done}
info {done} -o all
info {failed} -o all
info {failed},{done} -o label,function,exception
status {failed}
wait-for status {failed} done
jobs -n 12
jobs --label none
top
kill {done}
"""
OWN: Final = re.compile(r"\r?\x1b\[(\?1049[hl]|\?25[hl]|H|[0-9;]*m|[0-9]*[AK]|1?G)")
"""Sequences that the command's own tables and bars send."""
QUIET: Final = ("status", "wait-for", "kill", "jobs --label")
"""Commands that show no text of a job."""
LABEL: Final = 180


def pieces() -> list[str]:
    """Return the escape sequences in labels that are short enough even when they are
    spelled out.
    """
    labels = [""]
    for each in ESCAPES:
        if len(clean(labels[-1] + each)) > LABEL:
            labels.append("")
        labels[-1] += each
    return labels


class HostileTransport(Transport):
    """Sends labels that the SDK refuses, but a hostile client may send: it replaces their
    number.
    """

    def __init__(self, address: ServerAddress, labels: list[str]) -> None:
        super().__init__(address, Config())
        self._labels = labels

    def send(self, path: str, body: bytes, kind: type[Answer]) -> Answer:
        """Send a request, with its label replaced if it makes jobs."""
        request = msgspec.msgpack.decode(body)
        if path == "/v1/jobs":
            request["options"]["label"] = self._labels[int(request["options"]["label"])]
        return super().send(path, msgspec.msgpack.encode(request), kind)


@pytest.fixture
def show_commands(stack: Stack) -> Iterator[str]:
    """Jobs that output the corpus in every way, and the commands that show them."""
    labels = pieces()
    address = ServerAddress(stack.url, stack.key)
    client = Client(address, Config(), HostileTransport(address, labels))

    def write(text: str, gate: Path | None, *, fails: bool = False) -> str:
        import logging
        import sys

        sys.stdout.write(text + "\n")
        sys.stderr.write(text + "\n")
        logging.getLogger(text).warning("%s", text)
        if fails:
            raise ValueError(text)
        if gate is not None:
            wait_at(gate)
        return text

    whole = "|".join(ESCAPES)
    made: list[int] = []
    for at, label in enumerate(labels):
        write.__name__ = label
        made.append(client.call(write, whole, None, fails=at > 0, _label=str(at)))
    client.join(made, 60, ignore_errors=True)
    with closed_gate(stack.shared) as gate:
        waiting = client.call(write, whole, gate, _label="0")
        until(lambda: client.status(waiting) == "processing", "it runs")
        yield COMMANDS.format(done=made[0], failed=made[1]).strip()
    client.join(waiting, 60)
    client.close()


def shown(stack: Stack, home: Path, commands: str) -> str:
    """Return what a terminal receives."""
    environment: dict[str, Any] = stack.environment() | {"TERM": "xterm", "NO_COLOR": "1"}
    environment["PICLOUD_CONFIG_DIR"] = str(home / "config")
    terminal = Terminal(environment, home, sys.executable, "-c", SEVERAL, commands, columns=500)
    try:
        assert terminal.until_ended() == 0, terminal.shown
        return terminal.shown
    finally:
        terminal.close()


def test_no_escape_sequence_of_a_job_reaches_a_terminal(
    stack: Stack, tmp_path: Path, show_commands: str
) -> None:
    """Text, label, name, output, log and exception of a job are shown with their escapes spelled
    out; a terminal receives only the sequences of the command itself.
    """
    screen = shown(stack, tmp_path, show_commands)

    for command in screen.split("== ")[1:]:
        visible = OWN.sub("", command)
        harmful = {char for char in visible if unicodedata.category(char) in ("Cc", "Cf", "Cs")}
        assert harmful <= {"\n"}, command
        assert (r"\x1b" in visible) == (not command.startswith(QUIET)), command
