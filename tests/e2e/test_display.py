"""What a program shows while it waits: a bar on terminals, and the output of its jobs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.e2e.simulator_script import start_script
from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.stacks import Stack

SLEEPS = """
import cloud, time

def nap(number):
    time.sleep(0.1)
    return number

{loop}
"""
PRINTS = """
import sys, time

def talk(number):
    print("out", number)
    print("err", number, file=sys.stderr)
    return number
"""


def on_terminal(stack: Stack, home: Path, loop: str) -> str:
    """What a program shows on a terminal."""
    script = home / "script.py"
    script.write_text(SLEEPS.format(loop=loop))
    terminal = Terminal(
        stack.environment() | {"TERM": "xterm"}, home, sys.executable, str(script), columns=100
    )
    try:
        assert terminal.until_ended() == 0, terminal.shown
    finally:
        terminal.close()
    return terminal.shown


def test_a_terminal_shows_a_bar(stack: Stack, tmp_path: Path) -> None:
    """With counts and times; when the results are there, it is gone."""
    shown = on_terminal(stack, tmp_path, "print(sum(cloud.result(cloud.map(nap, range(60)))))")

    assert "/60 " in shown
    assert " left" in shown
    assert "queued" in shown
    assert shown.endswith("1770\n")


def test_the_bar_can_be_switched_off(stack: Stack, tmp_path: Path) -> None:
    """`cloud.config.progress` is for those who show their own."""
    loop = "cloud.config.progress = False\nprint(sum(cloud.result(cloud.map(nap, range(40)))))"

    assert on_terminal(stack, tmp_path, loop) == "780\n"


def test_output_is_streamed_on_request(stack: Stack, script: Callable[..., str]) -> None:
    """Each line once, with the jid where there are several jobs, before the results."""
    printed = script(
        "import cloud\n"
        + PRINTS
        + "cloud.config.stream_output = True\n"
        + "print(cloud.result(cloud.call(talk, 7)))\n"
        + "jids = cloud.map(talk, [1, 2])\n"
        + "results = cloud.result(jids)\n"
        + "print(jids[0], results)\n"
    )

    first, second, *lines, last = printed.splitlines()
    jid = int(last.split()[0])
    assert (first, second) == ("out 7", "7")
    assert sorted(lines) == [f"[{jid}] out 1", f"[{jid + 1}] out 2"]
    assert last == f"{jid} [1, 2]"


def test_output_is_not_streamed_elsewhere(stack: Stack, script: Callable[..., str]) -> None:
    """What is printed by a program that did not ask for it is its own."""
    source = "import cloud\n" + PRINTS + "print(cloud.result(cloud.call(talk, 7)))\n"

    assert script(source) == "7\n"


def test_the_simulator_streams_output(tmp_path: Path) -> None:
    """Jobs print as if they ran in the program."""
    source = (
        "import cloud\ncloud.start_simulator()\n"
        + PRINTS
        + "print(cloud.result(cloud.call(talk, 7), timeout=60))\n"
    )

    out, err = start_script(tmp_path, source).communicate(timeout=60)

    assert (out, err) == ("out 7\n7\n", "err 7\n")
