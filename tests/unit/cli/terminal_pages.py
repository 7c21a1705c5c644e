"""What the command shows on terminals of several widths: help, tables and live views.

`make pages` writes them to files, with which a test compares them.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from unittest.mock import patch

from cloud._config import profile
from picloud.app import app
from picloud.commands import top
from picloud_model import wire
from picloud_model.wire.bucket import ListedObject, ObjectsListed
from picloud_model.wire.cron import CronInfo, CronSchedule, CronsListed
from picloud_model.wire.environment import (
    Environment,
    EnvironmentsListed,
    Recipe,
    StoredVersion,
)
from picloud_model.wire.queue import QueuesListed
from picloud_model.wire.rest import EndpointInfo, EndpointsListed
from picloud_model.wire.volume import Volume, VolumesListed
from rich.console import Console
from typer.main import get_command

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).with_name("pages")
WIDTHS: Final = (56, 80, 120)
KINDS: Final = ("help", "tables")
_COMMAND: Final = cast("Any", get_command(app))
_STYLE: Final = re.compile(r"\x1b\[\d*m")
_NOW: Final = 3700.0
_TABLES: Final = (
    ("jobs",),
    ("jobs", "--each", "-n", "3"),
    ("status", "1-3"),
    ("status", "1-1003"),
    ("info", "2"),
    ("du",),
    ("bucket", "list"),
    ("bucket", "list", "--folderize"),
    ("volume", "list", "--desc"),
    ("queue", "list"),
    ("key", "list"),
    ("account", "list"),
    ("profile", "list"),
    ("env", "list"),
    ("cron", "list"),
    ("rest", "list"),
    ("info", "1-3", "-o", "status,runtime"),
    ("result", "7", "--timeout", "soon"),
    ("jobs", "--status", "finished"),
    ("key", "deactivate", "abc"),
    ("info", "2", "-o", "stdot"),
    ("jbos",),
    ("exec", "--type", "c9", "ls"),
)


class _Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class _Server(FakeServer):
    """A server with some jobs, objects, volumes and queues."""

    def __init__(self) -> None:
        super().__init__()
        for count, name, label, statuses in (
            (1, "digits.model.fit_score", "sweep over kernels and their parameters", {"done": 1}),
            (1, "./forecast {city} {days}", None, {"error": 1}),
            (1000, "bootstrap_of_a_linear_fit", "night run", {"done": 988, "error": 12}),
            (1, "lambda", None, {"processing": 1}),
            (120, "time.sleep", "waits", {"processing": 1, "queued": 119}),
        ):
            self.listed_batches.append(
                wire.ListedBatch(
                    first=self.next_jid,
                    count=count,
                    function_name=name,
                    label=label,
                    created_at=100.0,
                    statuses=statuses,
                    started_at=101.0,
                    finished_at=102.5,
                )
            )
            self.next_jid += count
        self.infos[2] = {
            "status": "error",
            "function_name": "./forecast {city} {days}",
            "stdout": "Trier 3\n",
            "runtime": 0.0123,
        }
        self.infos[1003] = {"status": "error"}

    def _jobs_list(self, body: bytes) -> wire.JobsListed:
        request = wire.decode(body, wire.ListRequest)
        running = request.statuses == ["processing"]
        named = {jid: each for each in self.listed_batches for jid in each.jids[:1]}
        jobs = [
            wire.ListedJob(
                jid=jid,
                status="processing" if running else "done",
                function_name=batch.function_name,
                label=batch.label,
                created_at=100.0,
                started_at=101.0,
                finished_at=0.0 if running else 102.5,
            )
            for jid, batch in sorted(named.items(), reverse=True)
            if not running or batch.statuses.get("processing")
        ]
        return wire.JobsListed(jobs=jobs[: request.limit], more=None)

    def _jobs_batches(self, body: bytes) -> wire.BatchesListed:
        wanted = set(wire.decode(body, wire.BatchesRequest).statuses)
        found = [
            batch
            for batch in reversed(self.listed_batches)
            if not wanted or wanted & set(batch.statuses)
        ]
        return wire.BatchesListed(batches=found, more=None, slots=2)

    def _usage(self, _: bytes) -> wire.AccountUsage:
        return wire.AccountUsage(
            jobs=wire.StoredBytes(count=1123, size=22_749_184),
            blobs=wire.StoredBytes(count=7, size=1_500_000_000),
            objects=wire.StoredBytes(count=64, size=4_096_000),
        )

    def _bucket_list(self, _: bytes) -> ObjectsListed:
        keys = ("2024/a-rather-long-name-of-results-of-a-bootstrap-of-a-linear-fit.csv", "plot.svg")
        return ObjectsListed(objects=[ListedObject(key, 12, "e", 100.0) for key in keys])

    def _volumes_list(self, _: bytes) -> VolumesListed:
        return VolumesListed(
            volumes=[
                Volume(
                    name=name,
                    mount_path=f"/{name}",
                    desc=desc,
                    created_at=100.0,
                    number=1,
                    size=22_749_184,
                    entries=1200,
                )
                for name, desc in (("data", "what the models learn from, cleaned"), ("models", ""))
            ]
        )

    def _environments_list(self, _: bytes) -> EnvironmentsListed:
        version = StoredVersion(
            number=3,
            image="d",
            base="base",
            python="3.11",
            made_at=100.0,
            recipe=Recipe(pip=["numpy"]),
        )
        return EnvironmentsListed(
            environments=[
                Environment(
                    name="science",
                    path="/a1/science",
                    status="ready",
                    desc="numpy, scipy and what the models of the group need",
                    modified_at=100.0,
                    versions=[version],
                )
            ]
        )

    def _crons_list(self, _: bytes) -> CronsListed:
        return CronsListed(
            crons=[
                CronInfo(
                    label="nightly report of all measurements",
                    schedule=CronSchedule(schedule="0 3 * * *", timezone="Europe/Berlin"),
                    function_name="reports.write",
                    created_at=100.0,
                    next_at=[7200.0],
                    last_jid=12,
                    last_status="done",
                )
            ]
        )

    def _rest_list(self, _: bytes) -> EndpointsListed:
        return EndpointsListed(
            endpoints=[
                EndpointInfo(
                    label="square",
                    path="/r/a0000001/square",
                    function_name="numbers.square",
                    published_at=100.0,
                )
            ]
        )

    def _queues_list(self, _: bytes) -> QueuesListed:
        return QueuesListed(names=["numbers", "urls"])


def pages(kind: str, width: int) -> str:
    """Return all pages of a kind, each behind the command line that shows it."""
    shown = _help_pages(width) if kind == "help" else _tables(width)
    return "".join(
        f"$ {' '.join(('picloud', *words))}\n{text.rstrip()}\n\n" for words, text in shown
    )


def file_of(kind: str, width: int) -> Path:
    """Return the file of these pages."""
    return FOLDER / f"{kind}_{width}.txt"


def _help_pages(width: int) -> Iterator[tuple[tuple[str, ...], str]]:
    for words in _commands(_COMMAND, ()):
        yield (*words, "--help"), _shown((*words, "--help"), width)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from _commands(below, (*words, name))


def _tables(width: int) -> Iterator[tuple[tuple[str, ...], str]]:
    with current_client(client_for(_Server())), _profiles():
        for words in _TABLES:
            yield words, _shown(words, width)
        stream = _Terminal()
        with _terminal(width):
            Console(file=stream, width=width).print(top.page(width, 10, _NOW))
        yield ("top",), _plain(stream.getvalue())


@contextlib.contextmanager
def _profiles() -> Iterator[None]:
    """Have two profiles."""
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.dict(os.environ, {"PICLOUD_CONFIG_DIR": folder}),
    ):
        for name, url in (("local", "http://127.0.0.1:8787"), ("work", "https://picloud.test")):
            profile.write(Path(folder, "profiles.toml"), name, profile.Profile(url, "pk_12ab_x"))
        yield


def _shown(words: tuple[str, ...], width: int) -> str:
    """Return what a command prints."""
    stream = _Terminal()
    with (
        _terminal(width),
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
        contextlib.suppress(SystemExit),
    ):
        _COMMAND.main(list(words), prog_name="picloud")
    return _plain(stream.getvalue())


def _plain(text: str) -> str:
    """Return text without styles, and without spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in _STYLE.sub("", text).splitlines())


@contextlib.contextmanager
def _terminal(width: int) -> Iterator[None]:
    """Set the width, no colours, and a time zone."""
    values = {"COLUMNS": str(width), "LINES": "24", "NO_COLOR": "1", "TERM": "xterm", "TZ": "UTC"}
    with patch.dict(os.environ, values):
        time.tzset()
        yield
    time.tzset()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for kind in KINDS:
        for width in WIDTHS:
            file_of(kind, width).write_text(pages(kind, width), encoding="utf-8")
    print(f"{FOLDER} written.")
