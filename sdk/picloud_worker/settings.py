"""The settings of a worker: its command line, and the only place that reads its environment."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a worker.

    `proof_fd` is an inherited file descriptor with the slot's proof. `drops` is for root in a
    container: children then run as a user `empN`, without capabilities. `mount_fd` is a directory
    through which a container asks the machine to mount its bucket. `environment` is the directory
    of a virtual environment whose packages jobs have; "" for those of this Python. `shell_python`
    is the Python of shell servers, "" for this one: an environment has no SSH server.
    """

    url: str
    proof_fd: int
    place: str
    workdir: Path
    drops: bool = False
    mount_fd: int | None = None
    environment: str = ""
    shell_python: str = ""
    crashpoint: str = ""


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> WorkerSettings:
    """Read the command line and the environment.

    Args:
        arguments: Without the name of the program.
        environment: Only `PICLOUD_CRASHPOINT` is read.

    >>> read(["--url", "http://a", "--proof-fd", "3", "--place", "p"], {}).proof_fd
    3
    """
    parser = argparse.ArgumentParser(prog="picloud_worker", description="Run jobs in one slot.")
    parser.add_argument("--url", required=True, help="where the API listens")
    parser.add_argument("--proof-fd", required=True, type=int, help="where to read the proof")
    parser.add_argument("--place", required=True, help="name of this place, for messages")
    parser.add_argument("--workdir", type=Path, help="writable directory (default: the current)")
    parser.add_argument("--drop", action="store_true", help="run jobs as a user emp1, emp2, ...")
    parser.add_argument("--mount-fd", type=int, help="directory where the machine is asked")
    parser.add_argument("--environment", default="", help="directory with the packages of jobs")
    parser.add_argument("--shell-python", default="", help="Python of shell servers")
    options = parser.parse_args(arguments)
    return WorkerSettings(
        url=options.url,
        proof_fd=options.proof_fd,
        place=options.place,
        workdir=(options.workdir or Path.cwd()).resolve(),
        drops=options.drop,
        mount_fd=options.mount_fd,
        environment=options.environment,
        shell_python=options.shell_python,
        crashpoint=environment.get("PICLOUD_CRASHPOINT", ""),
    )
