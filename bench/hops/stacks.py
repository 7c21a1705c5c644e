"""Stacks whose server and slots record marks."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.environments import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cloud._http.transport import ServerAddress

_SLOT = """#!/bin/sh
# Nomad starts `python -P -m picloud_worker ...`: the same, with marks.
shift 3
exec {python} -P -c 'import sys; sys.path.insert(0, sys.argv[1])
import bench.hops.marked_worker as m; m.main()' {root} {marks} "$@"
"""


@contextlib.contextmanager
def marked(stack: str, home: Path) -> Iterator[ServerAddress]:
    """Run a stack for the duration of a `with` block; it writes `home / "marks"`."""
    slot = home / "slot"
    slot.write_text(
        _SLOT.format(python=sys.executable, root=ROOT, marks=home / "marks"), encoding="utf-8"
    )
    slot.chmod(0o755)
    command = ("bench.hops.marked_server", str(home / "marks"))
    with served(stack, home, command, environment={"PICLOUD_SLOT_PYTHON": str(slot)}) as address:
        yield address


@contextlib.contextmanager
def served(
    stack: str,
    home: Path,
    command: Sequence[str],
    options: Sequence[str] = (),
    *,
    slots: int = 2,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ServerAddress]:
    """Run a stack whose server is a module of the bench, for the length of a `with` block.

    Args:
        stack: Its name.
        home: A directory of its own.
        command: The module, and the arguments before those of the server.
        options: More of the server's arguments.
        slots: Jobs at once.
        environment: Variables that the server gets in addition to ours.
    """
    options = ["--slots", str(slots), *options]
    if stack == "embedded":
        with _server(home, command, options, os.environ) as address:
            yield address
        return
    from picloud_driver.stack.hashicorp import Stack

    from tests.servers import running

    for name in ("consul", "vault", "versitygw", "nomad"):
        running.binary(name)
    servers = Stack(home / "data", os.environ, slots=slots)
    addresses = servers.start()
    home.chmod(0o755)
    whole = os.environ | addresses.environment() | dict(environment or {})
    url = ""
    try:
        with _server(home, command, [*options, "--stack", "hashicorp"], whole) as address:
            url = address.url
            yield address
    finally:
        servers.stop(url)


@contextlib.contextmanager
def _server(
    home: Path, command: Sequence[str], more: Sequence[str], environment: Mapping[str, str]
) -> Iterator[ServerAddress]:
    from cloud._http.transport import ServerAddress

    read, ready = os.pipe()
    watched, owner = os.pipe()  # the server ends when this process does
    options = ["--data", str(home / "data"), "--port", "0", *more]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", *command),
            *(*options, "--ready-fd", str(ready), "--owner-fd", str(watched)),
        ],
        pass_fds=(ready, watched),
        env=dict(environment),
        cwd=ROOT,
    )
    os.close(ready)
    os.close(watched)
    try:
        with os.fdopen(read) as lines:
            address = json.loads(lines.readline())
        yield ServerAddress(address["url"], address["key"])
    finally:
        os.close(owner)
        process.terminate()
        process.wait()
