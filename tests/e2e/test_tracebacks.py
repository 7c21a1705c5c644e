"""A program whose job failed shows its own frames, once, and then one line about the job."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stacks import Stack

SCRIPT = """\
import cloud
from parts import deep


def outer(number):
    try:
        return [deep.divide(number, each) for each in (1, 0)]
    except ZeroDivisionError as error:
        raise ValueError(f"bad {number}") from error


if __name__ == "__main__":
    cloud.result(cloud.call(outer, 2), timeout=60)
"""
DEEP = "def divide(first, second):\n    return (\n        1 + first / second\n    )\n"
SHOWN = """\
Traceback (most recent call last):
  File "{script}", line 7, in outer
    return [deep.divide(number, each) for each in (1, 0)]
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{script}", line 7, in <listcomp>
    return [deep.divide(number, each) for each in (1, 0)]
            ^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{deep}", line 3, in divide
    1 + first / second
        ~~~~~~^~~~~~~~
ZeroDivisionError: division by zero

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "{script}", line 9, in outer
    raise ValueError(f"bad {{number}}") from error
ValueError: bad 2

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
{above}  File "{script}", line 13, in <module>
    cloud.result(cloud.call(outer, 2), timeout=60)
cloud.CloudException: Job N failed: ValueError: bad 2
"""
SELF = "<the script>"
RUNPY = """\
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "<frozen runpy>", line 88, in _run_code
"""


def project(root: Path) -> Path:
    """A script and a package that it uses."""
    (root / "parts").mkdir()
    (root / "parts/__init__.py").touch()
    (root / "parts/deep.py").write_text(DEEP)
    script = root / "script.py"
    script.write_text(SCRIPT)
    return script


def shown(stack: Stack, root: Path, *command: str, text: str | None = None) -> str:
    """What a program prints to stderr, with N for the jid."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=stack.environment() | {"IPYTHONDIR": str(root / "ipython")},
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return re.sub(r"Job \d+", "Job N", done.stderr if text is None else done.stdout)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="comprehensions are frames up to 3.11")
@pytest.mark.parametrize(("command", "above"), [([SELF], ""), (["-m", "script"], RUNPY)])
def test_a_script_shows_its_own_frames(
    stack: Stack, tmp_path: Path, command: list[str], above: str
) -> None:
    """Own files, also of modules that travelled, with the lines and carets of a local program."""
    script = project(tmp_path)

    text = shown(stack, tmp_path, *[str(script) if each == SELF else each for each in command])

    deep = tmp_path / "parts/deep.py"
    assert text == SHOWN.format(script=script, deep=deep, above=above)


def test_a_command_shows_its_own_lines(stack: Stack, tmp_path: Path) -> None:
    """No file holds what was given to Python by `-c`."""
    source = "import cloud\ndef f(x):\n    return 1 / x\ncloud.result(cloud.call(f, 0), 60)\n"

    text = shown(stack, tmp_path, "-c", source)

    assert text == (
        "Traceback (most recent call last):\n"
        '  File "<string>", line 3, in f\n'
        "    return 1 / x\n"
        "           ~~^~~\n"
        "ZeroDivisionError: division by zero\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n"
        '  File "<string>", line 4, in <module>\n'
        "    cloud.result(cloud.call(f, 0), 60)\n"
        "cloud.CloudException: Job N failed: ZeroDivisionError: division by zero\n"
    )


def test_ipython_shows_cells(stack: Stack, tmp_path: Path) -> None:
    """A cell of IPython has its lines, and nothing of the SDK is shown."""
    project(tmp_path)
    cells = (
        "import cloud\nfrom parts import deep\n"
        "cloud.result(cloud.call(lambda x: deep.divide(1, x), 0), 60)\n"
    )

    text = shown(
        stack, tmp_path, "-m", "IPython", "--no-banner", "--colors=NoColor", "--simple-prompt",
        text=cells,
    )  # fmt: skip

    assert "----> 1 cloud.result(cloud.call(lambda x: deep.divide(1, x), 0), 60)" in text
    assert f"File {tmp_path}/parts/deep.py:3, in divide" in text
    assert re.search(r"----> 3 +1 \+ first / second", text)
    assert "CloudException: Job N failed: ZeroDivisionError: division by zero" in text
    assert "sdk/cloud" not in text
    assert len(text.splitlines()) < 40


def test_all_frames_are_shown_on_request(stack: Stack, tmp_path: Path) -> None:
    """`cloud.config.full_tracebacks` adds those of the SDK, and leaves the lines of others."""
    source = (
        "import cloud\ncloud.config.full_tracebacks = True\n"
        "def f(x):\n    return int(x)\n"
        "cloud.result(cloud.call(f, 'x'), 60)\n"
    )

    text = shown(stack, tmp_path, "-c", source)

    assert "until_ended" in text
    assert '  File "<string>", line 4, in f\n    return int(x)\n' in text


EACH_WAY = """\
import asyncio
import cloud
import joblib
import traceback

def f(x):
    return 1 / x

async def awaited(job):
    await job

def joined():
    cloud.register_joblib()
    with joblib.parallel_config("picloud"):
        joblib.Parallel()(joblib.delayed(f)(x) for x in (1, 0))

job, jobs = cloud.call(f, 0), cloud.map(f, [1, 0])
with cloud.Executor() as executor, cloud.Pool() as pool:
    future = executor.submit(f, 0)
    for way in (
        job.result,
        job.result,
        jobs.result,
        jobs[1].result,
        lambda: asyncio.run(awaited(job)),
        future.result,
        future.result,
        lambda: list(executor.map(f, [0])),
        lambda: pool.map(f, [0]),
        lambda: list(pool.imap(f, [0])),
        joined,
        lambda: cloud.Job("x"),
        lambda: cloud.Job(10**9).info(),
        lambda: list(cloud.Job(10**9).logs()),
        lambda: cloud.nothing,
    ):
        try:
            way()
        except Exception as error:
            raised = "".join(traceback.format_exception(error))
            print("----", type(error).__name__, raised.count("in f\\n    return 1 / x"))
            print(*(line for line in raised.splitlines() if "/cloud/" in line), sep="\\n")
"""


def test_no_way_to_a_job_shows_the_sdk(stack: Stack, tmp_path: Path) -> None:
    """The error of a job shows the frames of the job, once, also when it is raised again."""
    script = tmp_path / "script.py"
    script.write_text(EACH_WAY)

    done = subprocess.run(
        [sys.executable, str(script)],
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert [line for line in done.stdout.splitlines() if line] == [
        *["---- ZeroDivisionError 1"] * 11,
        "---- CloudTypeError 0",
        *["---- CloudException 0"] * 2,
        "---- AttributeError 0",
    ], done.stderr


def test_ctrl_c_leaves_one_line(stack: Stack, tmp_path: Path) -> None:
    """A wait that is stopped shows where the program was, and how to reach the jobs."""
    source = (
        "import cloud, os, signal, threading, time\n"
        "jids = cloud.map(time.sleep, [600, 600])\n"
        "cloud.wait_for.status(jids[0], 'processing')\n"
        "threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    cloud.result(jids)\n"
        "finally:\n"
        "    cloud.kill(jids)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(source)

    lines = shown(stack, tmp_path, str(script)).splitlines()

    assert len(lines) == 4
    assert re.fullmatch(
        r"KeyboardInterrupt: Jobs (\d+)-(\d+) go on; cloud.result\(range\(\1, \d+\)\) waits again, "
        r"cloud.kill\(range\(\1, \d+\)\) ends them\.",
        lines[-1],
    )
