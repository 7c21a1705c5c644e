"""A terminal that a test controls, with a command running on it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_S = 60.0
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A command that runs on a terminal of its own."""

    def __init__(
        self, environment: Mapping[str, str], home: Path, *command: str, columns: int = 80
    ) -> None:
        self.shown = ""
        # One read may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._terminal, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *command],
            stdin=other,
            stdout=other,
            stderr=other,
            env=environment,
            cwd=home,
            start_new_session=True,
        )
        os.close(other)

    def until_shown(self, text: str) -> str:
        """Read until the command has printed a text; return all that it has printed so far."""
        deadline = time.monotonic() + START_S
        while text not in self.shown:
            assert select.select([self._terminal], [], [], deadline - time.monotonic())[0], (
                self.shown
            )
            try:
                self.shown += self._decoder.decode(os.read(self._terminal, 65536))
            except OSError:
                break  # the other side is gone
        assert text in self.shown, self.shown
        return self.shown

    def until_ended(self) -> int:
        """Read until the command has ended; return its exit code. Line ends are those of the
        command.
        """
        deadline = time.monotonic() + START_S
        while select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
            try:
                self.shown += self._decoder.decode(os.read(self._terminal, 65536))
            except OSError:
                break  # the other side is gone
        self.shown = self.shown.replace("\r\n", "\n")
        return self.process.wait(START_S)

    def until_hidden(self) -> None:
        """Wait until typed text is not echoed; text typed earlier is discarded."""
        until(
            lambda: not termios.tcgetattr(self._terminal)[3] & termios.ECHO,
            "the command prompts for a key",
        )

    def type(self, text: str) -> None:
        """Type a text on the keyboard."""
        os.write(self._terminal, text.encode())

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C: SIGINT for every process in the foreground."""
        os.write(self._terminal, b"\x03")

    def hang_up(self) -> None:
        """Close the terminal's window."""
        os.close(self._terminal)
        self._terminal = -1

    def close(self) -> None:
        """End the command and close the terminal."""
        if self._terminal >= 0:
            os.close(self._terminal)
        self.process.kill()
        self.process.wait()
