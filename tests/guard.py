"""The guard: ends what tests have started if the tests themselves are killed.

A process of tests tells its guard each directory below which it starts something. The guard is
another process, which waits until the pipe between them closes. After an orderly end nothing is
left to do. After a kill it stops the stacks and servers below these directories, kills every
process that belongs to them, and unmounts what is mounted there.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

import psutil

from tests.e2e import processes
from tests.polling import until

ROOT: Final = Path(__file__).parents[1]
ORDERLY_S: Final = 15.0
"""How long an API may take to end by itself, as it does when its owner is gone."""
ROUNDS: Final = 10


def watch(directory: Path) -> None:
    """Have whatever belongs to a directory end with this process, however that ends."""
    pipe = _guard().stdin
    assert pipe is not None
    pipe.write(f"{directory}\n".encode())
    pipe.flush()


@cache
def _guard() -> subprocess.Popen[bytes]:
    guard = subprocess.Popen(
        [sys.executable, "-m", "tests.guard"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(guard.communicate)
    return guard


def main() -> None:
    """Read directories, one a line, until the pipe closes; then clean up below them."""
    directories = [Path(line.rstrip("\n")) for line in sys.stdin]
    in_use = _everything()
    for directory in reversed(directories):
        if str(directory) in in_use:
            clean(directory)


def _everything() -> str:
    """Return the arguments, directory and variables of all processes, and all mounts.

    After an orderly end it names none of the directories, of which there may be hundreds.
    """
    found = [Path("/proc/self/mounts").read_text(encoding="utf-8")]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found += [*process.cmdline(), process.cwd(), *process.environ().values()]
    return "\n".join(found)


def clean(directory: Path) -> None:
    """End everything that belongs to a directory."""
    data = directory / "data"
    if (data / "stack").is_dir():
        _stop_stack(data)
    # A process that is killed may just have started another.
    for _ in range(ROUNDS):
        living = [each for each in processes.of_stack(directory) if each.pid != os.getpid()]
        if not living:
            break
        for process in living:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    unmount(directory)


def unmount(directory: Path) -> None:
    """Unmount what is mounted below a directory."""
    for mount in reversed(mounts(directory)):
        subprocess.run(["umount", "--lazy", mount], check=False)


def mounts(directory: Path) -> list[str]:
    """Return what is mounted below a directory, the outermost first."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    # A space in a path is written as \040.
    paths = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    return [path for path in paths if Path(path).is_relative_to(directory)]


def _stop_stack(data: Path) -> None:
    """Stop the servers of a data directory as `picloud down` does: networks and rules go, too."""
    # Only this needs it, and it takes a while to load.
    from picloud_driver.stack.hashicorp import Stack

    with contextlib.suppress(TimeoutError):
        until(lambda: not _api(data), "the API has ended", ORDERLY_S)
    with contextlib.suppress(Exception):
        Stack(data, os.environ).stop()


def _api(data: Path) -> bool:
    """Whether a process of the API lives; `described` names each with its command line."""
    return "--ready-fd" in processes.described(processes.of_stack(data))


if __name__ == "__main__":
    main()
