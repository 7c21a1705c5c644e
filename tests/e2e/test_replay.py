"""`picloud replay`, `picloud why` and `cloud.explain` on every stack."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import cloud
import pytest

from tests.e2e import command_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

WAIT_S = 60.0
PROGRAM = """
import cloud, helper, os
FACTOR = 3

def work(rows):
    print("at work")
    return helper.first(rows) * FACTOR, os.environ["UNIT"]

async def later(x):
    return x * FACTOR

good = cloud.call(work, [5], _os_env_vars={"UNIT": "m"}, _label="sums")
bad = cloud.call(work, [], _os_env_vars={"UNIT": "m"})
after = cloud.call(work, [1], _depends_on=bad)
print(int(good), int(bad), int(after), int(cloud.call(later, 4)))
cloud.join([good, bad], ignore_errors=True)
"""
HELPER = "def first(rows):\n    return rows[0]\n"


@pytest.fixture
def jids(stack: Stack, tmp_path: Path) -> list[str]:
    """Jobs of a program whose modules were edited since."""
    (tmp_path / "helper.py").write_text(HELPER)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    ended = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True, text=True, check=True, env=stack.environment(), timeout=WAIT_S,
    )  # fmt: skip
    (tmp_path / "helper.py").write_text("raise SystemExit('edited')\n")
    return ended.stdout.split()


def test_a_job_runs_here_as_it_was_sent(
    jids: list[str], picloud: Callable[..., Exited], client: Client
) -> None:
    """With its arguments, its modules of then and its variables; a failure is shown with them, and
    can be looked at in the debugger. `--submit` makes a job of the same options.
    """
    good, bad, _, coroutine = jids

    assert picloud("replay", good).out == 'at work\n[15, "m"]\n'
    assert picloud("replay", coroutine).out == "12\n"
    failed = picloud("replay", bad, "--pdb", given=b"up\np rows, FACTOR\nq\n")
    assert failed.code == 3
    assert "IndexError: list index out of range" in failed.err
    assert "helper.py" in failed.err
    assert "([], 3)" in failed.out
    again = picloud("replay", good, "--submit")
    assert client.result(int(again.out), WAIT_S) == (15, "m")
    assert client.info(int(again.out), "label") == {int(again.out): {"label": "sums"}}


@pytest.fixture
def replayed(stack: Stack, tmp_path: Path) -> Callable[..., Exited]:
    """Runs `picloud replay JID --edit` with variables that name an editor."""
    environment = stack.environment() | {"PICLOUD_CONFIG_DIR": str(tmp_path / "config")}

    def run(variables: dict[str, str], jid: str, *options: str) -> Exited:
        return command_line.run(environment | variables, "replay", jid, "--edit", *options)

    return run


def editor(tmp_path: Path, before: str, after: str) -> dict[str, str]:
    """Return variables that name an editor which replaces a text in the file that it opens."""
    program = tmp_path / "editor.py"
    program.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[-1])\n"
        "text = file.read_text()\n"
        f"assert {before!r} in text, file\n"
        f"file.write_text(text.replace({before!r}, {after!r}))\n"
    )
    return {"VISUAL": "", "EDITOR": f"{sys.executable} {program}"}


def test_a_job_runs_again_with_edited_code(
    jids: list[str], replayed: Callable[..., Exited], client: Client, tmp_path: Path
) -> None:
    """A function of the main program, here and as a new job; the program does not change."""
    good, bad, *_ = jids
    program = (tmp_path / "program.py").read_text()
    mended = editor(tmp_path, "helper.first(rows)", "(rows or [7])[0]")

    assert replayed(mended, bad).out == 'at work\n[21, "m"]\n'
    again = replayed(mended, bad, "--submit")
    assert client.result(int(again.out), WAIT_S) == (21, "m")
    assert (tmp_path / "program.py").read_text() == program

    broken = replayed(editor(tmp_path, "return", "return )"), good)
    assert (broken.code, broken.out) == (1, "")
    assert broken.err.startswith("error: Cannot use what was saved as work: ")
    ended = replayed({"VISUAL": "false"}, good, "--submit")
    assert (ended.code, ended.out) == (1, "")
    assert "The editor did not end well, nothing was run" in ended.err
    (tmp_path / "program.py").write_text("# another program\n")
    refused = replayed(mended, bad)
    assert "program.py is not as it was when the job was sent" in refused.err


def test_a_job_runs_again_with_an_edited_module(
    stack: Stack, replayed: Callable[..., Exited], client: Client, tmp_path: Path
) -> None:
    """The module that its function is in, with those that it imports as they were sent."""
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "steps.py").write_text(
        "import helper\n\ndef step(rows):\n    return helper.first(rows)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", "import cloud, steps; print(int(cloud.call(steps.step, [])))"],
        capture_output=True, text=True, check=True, env=stack.environment(), timeout=WAIT_S,
        cwd=tmp_path,
    )  # fmt: skip
    (tmp_path / "helper.py").write_text("raise SystemExit('edited')\n")
    jid, mended = ended.stdout.strip(), editor(tmp_path, "first(rows)", "first(rows or [7])")

    assert replayed(mended, jid).out == "7\n"
    again = replayed(mended, jid, "--submit")
    assert client.result(int(again.out), WAIT_S) == 7


def test_why_a_job_failed_or_waits(
    jids: list[str], picloud: Callable[..., Exited], client: Client
) -> None:
    """The cause and what to do; for a job that was never started, which job is to blame."""
    _, bad, after, _ = jids
    with pytest.raises(cloud.CloudException):
        client.join(int(after), WAIT_S)

    lines = picloud("why", f"{bad},{after}").out.splitlines()

    assert lines[0].startswith(f"Job {bad}: error after ")
    assert lines[0].endswith(": user exception")
    assert lines[1:3] == [
        "  IndexError: list index out of range",
        f"  `picloud replay {bad} --pdb` runs it here, in a debugger.",
    ]
    assert lines[3] == f"Job {after}: stalled: dependency failed"
    assert lines[4].startswith(f"  job {bad}, which this one depends on, ended in error")


def test_versions_are_compared_where_the_job_would_run(as_current: None) -> None:
    """Jobs of the tests' stacks have the packages of the tests."""

    def dumps() -> bytes:
        import msgspec

        return msgspec.json.encode(1)

    explained = cloud.explain(dumps)

    assert list(explained.expected) == ["msgspec"]
    assert explained.differences(WAIT_S) == {}
