"""The installed command on a terminal: tables, colours, progress bars, prompts, control
characters.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0
PICLOUD = str(Path(sys.executable).with_name("picloud"))
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@contextmanager
def begun(
    stack: Stack, home: Path, *arguments: str, columns: int = 80, **environment: str
) -> Iterator[Terminal]:
    """The command, running on a terminal."""
    own = {"PICLOUD_CONFIG_DIR": str(home / "config"), "TERM": "xterm-256color"}
    everything = stack.environment() | own | environment
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        if name not in environment:
            everything.pop(name, None)
    terminal = Terminal(everything, home, PICLOUD, *arguments, columns=columns)
    try:
        yield terminal
    finally:
        terminal.close()


def shown(stack: Stack, home: Path, *arguments: str, columns: int = 80, **environment: str) -> str:
    """Return all that the command shows on a terminal until it ends with success."""
    with begun(stack, home, *arguments, columns=columns, **environment) as terminal:
        assert terminal.until_ended() == 0, terminal.shown
        return terminal.shown


def test_status_is_a_table_in_colours(stack: Stack, client: Client, tmp_path: Path) -> None:
    """Statuses are a coloured table on a terminal; NO_COLOR removes the colours and keeps the
    table.
    """
    good, bad = client.map(lambda x: 1 // x, [1, 0])
    client.join([good, bad], WAIT_S, ignore_errors=True)

    coloured = shown(stack, tmp_path, "status", f"{good},{bad}")
    plain = shown(stack, tmp_path, "status", f"{good},{bad}", NO_COLOR="1")

    assert "\x1b[32mdone" in coloured
    assert "\x1b[31merror" in coloured
    assert "\x1b[3" not in plain
    lines = [line.split() for line in ESCAPE.sub("", plain).splitlines()]
    assert lines[0] == ["jid", "status"]
    assert set("".join(lines[1])) == {"─"}
    assert lines[2:] == [[str(good), "done"], [str(bad), "error"]]


def test_a_table_is_as_wide_as_the_terminal(stack: Stack, client: Client, tmp_path: Path) -> None:
    """No line wraps."""
    jids = client.map(abs, [1, 2])
    client.join(jids, WAIT_S)

    table = shown(stack, tmp_path, "status", f"{jids[0]}-{jids[1]}", columns=14)

    assert max(len(ESCAPE.sub("", line)) for line in table.splitlines()) <= 14


def test_output_of_a_job_cannot_harm_the_terminal(
    stack: Stack, client: Client, tmp_path: Path
) -> None:
    """Control characters are shown, not obeyed; with --raw they are obeyed."""
    jid = str(client.call(lambda: "\x1b]0;title\x07red\x1b[31m\u202e\n"))

    assert shown(stack, tmp_path, "result", jid) == "\\x1b]0;title\\x07red\\x1b[31m\\u202e\n"
    assert "\x1b[31m" in shown(stack, tmp_path, "result", "--raw", jid)


def test_a_bar_shows_how_far_a_map_is(stack: Stack, client: Client, tmp_path: Path) -> None:
    """The bar is on standard error if that is a terminal, and disappears when the jobs
    have ended.
    """

    def opened(path: str) -> None:
        while not Path(path).exists():
            time.sleep(0.01)

    gate = stack.shared / f"gate-{tmp_path.name}"
    jids = client.map(opened, [str(gate)] * 6)

    with begun(stack, tmp_path, "join", f"{jids[0]}-{jids[-1]}") as terminal:
        terminal.until_shown(" 0/6 ")
        gate.touch()
        assert terminal.until_ended() == 0

    assert terminal.shown.endswith("\r\x1b[2K")


def test_a_bar_shows_how_far_a_file_is(stack: Stack, client: Client, tmp_path: Path) -> None:
    """Of a put and of a get; it disappears when all bytes are there."""
    size = 400_000_000
    with (tmp_path / "data").open("wb") as file:
        file.truncate(size)
    key = f"bar-{tmp_path.name}"

    for arguments in (("put", "data", key), ("get", key, "copy")):
        printed = shown(stack, tmp_path, "bucket", *arguments)

        assert "/400.0 MB" in printed, arguments
        assert " MB/s" in printed, arguments
        assert printed.endswith("\r\x1b[2K"), arguments
    assert (tmp_path / "copy").stat().st_size == size
    client.bucket.remove([key])


def test_a_pipe_gets_data_and_nothing_else(stack: Stack, client: Client, tmp_path: Path) -> None:
    """With standard error on a terminal and standard output in a file: no bar in the data."""
    jids = client.map(lambda x: x, range(3))
    file = tmp_path / "out"
    line = f"{PICLOUD} result {jids[0]}-{jids[-1]} > {file}"
    terminal = Terminal(stack.environment() | {"TERM": "xterm"}, tmp_path, "/bin/sh", "-c", line)

    assert terminal.until_ended() == 0
    terminal.close()

    assert file.read_text() == "".join(
        f"Result for jid {jid}:\n{value}\n" for value, jid in enumerate(jids)
    )


def test_setup_asks_and_hides_the_key(stack: Stack, tmp_path: Path) -> None:
    """The address is echoed and the key is not; wrong input leads to another prompt."""
    address = stack.url.removeprefix("http://")
    with begun(stack, tmp_path, "setup", PICLOUD_URL="", PICLOUD_API_KEY="") as terminal:
        terminal.until_shown("Server [http://127.0.0.1:8787]:")
        terminal.type(f"{address}\n")
        terminal.until_shown("is not a valid server URL")
        terminal.type(f"{stack.url}\n")
        terminal.until_shown("API key:")
        terminal.until_hidden()
        terminal.type("pk_000000000000_wrong\n")
        terminal.until_shown("does not know this API key")
        terminal.until_hidden()
        terminal.type(f"{stack.key}\n")
        assert terminal.until_ended() == 0, terminal.shown

    assert "knows this key" in terminal.shown
    assert stack.key not in terminal.shown
    profile = {"PICLOUD_CONFIG_DIR": str(tmp_path / "config"), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [PICLOUD, "exec", "true"], env=profile, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().isdigit()


def test_ctrl_c_ends_a_wait(stack: Stack, client: Client, tmp_path: Path) -> None:
    """The wait ends at once, in one line, with the exit code that shells expect."""
    jid = client.call(lambda: __import__("time").sleep(600))
    with begun(stack, tmp_path, "--verbose", "join", str(jid)) as terminal:
        terminal.until_shown("/v1/jobs/wait: sent")  # the request is under way
        terminal.press_ctrl_c()
        code = terminal.until_ended()

    assert code == 130
    said = f"Interrupted. Job {jid} goes on; `picloud join {jid}` waits again, `picloud kill {jid}`"
    assert said in " ".join(terminal.shown.split())
    assert "Traceback" not in terminal.shown
    assert client.status(jid) in ("queued", "processing")
    client.kill(jid)


def test_top_is_live(stack: Stack, client: Client, tmp_path: Path) -> None:
    """Jobs appear and disappear on it; Ctrl-C ends it and restores the screen."""
    label = f"seen by top {os.getpid()}"
    with begun(stack, tmp_path, "top", "--every", "0.2", columns=100) as terminal:
        terminal.until_shown("\x1b[?1049h")
        jid = client.call(lambda: __import__("time").sleep(600), _label=label)
        terminal.until_shown(label)
        terminal.until_shown("processing")
        client.kill(jid)
        client.join(jid, WAIT_S, ignore_errors=True)
        terminal.press_ctrl_c()
        assert terminal.until_ended() == 0

    assert "Traceback" not in terminal.shown
    assert "\x1b[?1049l" in terminal.shown


def test_top_in_a_pipe_is_a_table(stack: Stack, client: Client) -> None:
    """In a pipe the table is printed once, with tabs between the columns."""
    jid = client.call(lambda: __import__("time").sleep(600), _label="for top")

    done = subprocess.run(
        [PICLOUD, "top"], env=stack.environment(), capture_output=True, text=True, check=True
    )

    header, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert header == ["jid", "status", "function", "label", "since", "cpu", "memory"]
    assert [row[2:4] for row in rows if row[0] == str(jid)] == [["lambda", "for top"]]
    client.kill(jid)
