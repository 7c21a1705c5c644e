"""What `picloud up` does: start or find servers, write the profile, wait for Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec
from cloud import CloudException
from cloud._client.local_server import LocalServer
from cloud._config.settings import environment
from picloud_driver.stack import records
from picloud_driver.stack.servers.ports import is_free

from picloud import output
from picloud.stack import announcement, profile, server_record
from picloud.stack.data_dir import StackName, default
from picloud.stack.down import stop
from picloud.stack.server_record import ServerRecord
from picloud.stack.servers import StackServers, stack_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.stack.addresses import Addresses

    from picloud.stack.profile import PreviousProfile

_PORT: Final = 8787
_STOP_S: Final = 5.0
_CHECK_S: Final = 1.0
"""Time between two checks of the running servers."""


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `picloud up`."""

    stack: StackName
    data: Path
    port: int | None
    workers: int | None
    processes: int
    keep_days: float
    sweep_hours: float
    prices: Path | None
    profile: str | None
    detach: bool

    @property
    def log(self) -> Path:
        """The log file of the server."""
        return self.data / "server.log"

    @property
    def down(self) -> str:
        """The command that stops the server."""
        is_default = self.data == default(self.stack)
        data = "" if is_default else f" --data {shlex.quote(str(self.data))}"
        return f"picloud down{data}"

    def arguments(self, port: int) -> list[str]:
        """Return the command-line arguments of a server on a port; 0 for any free one."""
        arguments = {"--data": self.data, "--host": "127.0.0.1", "--port": port}
        arguments |= {"--stack": self.stack.value, "--processes": self.processes}
        arguments["--sweep-hours"] = self.sweep_hours
        if self.keep_days:
            arguments["--keep-days"] = self.keep_days
        if self.prices is not None:
            arguments["--prices"] = self.prices
        if self.workers is not None:
            arguments["--slots"] = self.workers
        return [str(part) for pair in arguments.items() for part in pair]


def run(options: UpOptions) -> None:
    """Start what is not running yet; with `detach` return then, else after Ctrl-C."""
    try:
        options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CloudException(f"Cannot use {options.data} for data: {error.strerror}.") from error
    with stack_errors(), _terminate_as_interrupt():
        with records.exclusive(options.data):
            previous = server_record.read(options.data)
            running = previous if previous and previous.process.is_running() else None
            if running:
                _check_shareable(options, running)
            slots = options.workers or os.cpu_count() or 1
            running_slots = running.slots if running else 0
            servers = StackServers(options.stack, options.data, slots, running_slots)
            if servers.must_restart():
                # Everything: the API has their addresses of before.
                stop(options.data, previous, output.text)
                running = None
            addresses = servers.start()
            if running:
                server_record.await_health(running)
                servers.restrict_slots(running.url)
                lines = announcement.server_lines(running, options.data, was_running=True)
                lines += announcement.port_lines(running, options.port)
                lines += announcement.price_lines(options.prices)
                _announce(options, running, lines, _more_lines(options, addresses, servers))
                return
            with servers.undone_on_error():
                before = _before(options, previous)
                server = LocalServer.start(
                    options.arguments(_port(options)),
                    options.log,
                    environment=environment() | addresses.environment() if addresses else None,
                    detached=options.detach,
                )
            record = server_record.write(
                options.data,
                ServerRecord(
                    stack=options.stack,
                    pid=server.pid,
                    url=server.ready.url,
                    key=server.ready.key,
                    slots=slots,
                    before=before,
                ),
            )
            servers.restrict_slots(record.url)
        _UpSession(options, record, servers, server).run(addresses)


class _UpSession:
    """The time from the start of a server until it has ended.

    Args:
        options: The options of `picloud up`.
        record: The record of the server.
        servers: The servers below it.
        server: The server.
    """

    def __init__(
        self, options: UpOptions, record: ServerRecord, servers: StackServers, server: LocalServer
    ) -> None:
        self._options = options
        self._record = record
        self._servers = servers
        self._server = server

    def run(self, addresses: Addresses | None) -> None:
        """Announce the server; unless it is detached wait for its end, and stop what is left."""
        try:
            lines = announcement.server_lines(self._record, self._options.data, was_running=False)
            more = _more_lines(self._options, addresses, self._servers)
            _announce(self._options, self._record, lines, more)
            if self._options.detach:
                return
            while self._server.wait(_CHECK_S) is None:
                with records.exclusive(self._options.data):
                    # `picloud down` holds the lock and stops our server first: check again.
                    if self._server.wait(0) is None:
                        self._servers.restart_ended()
        except KeyboardInterrupt:
            _hint("Stopping; press Ctrl-C again to stop at once.")
            self._stop()
        except BaseException:
            self._stop()
            raise
        else:
            self._clean_up()

    def _clean_up(self) -> None:
        """Stop what is left after the server has ended by itself or by `picloud down`."""
        with records.exclusive(self._options.data):
            # Another command may have started a new one since.
            if server_record.read(self._options.data) != self._record:
                _hint("Stopped by picloud down.")
                return
            stop(self._options.data, self._record, _hint)
        status, log = self._server.wait(), self._options.log
        raise CloudException(f"The server ended with status {status}; see {log}.")

    def _stop(self) -> None:
        with records.exclusive(self._options.data):
            try:
                self._server.stop(_STOP_S)
            except KeyboardInterrupt:
                self._server.kill()
            stop(self._options.data, self._record, _hint)


def _check_shareable(options: UpOptions, running: ServerRecord) -> None:
    """Refuse to go on in the foreground, or on another stack, with a server that is running.

    The profile names that server from now on: it is the one that `picloud` has to find.
    """
    if options.detach and running.stack is options.stack:
        return
    name = options.profile or running.before.name
    profile.take(name, running.profile)
    raise CloudException(
        f"PiCloud is already running at {running.url} ({running.stack.value} stack, data in "
        f"{options.data}), and profile {name} names it; stop it with: {options.down}"
    )


def _before(options: UpOptions, previous: ServerRecord | None) -> PreviousProfile:
    """Return what the end of the server puts back."""
    before = profile.previous(options.profile or profile.USUAL)
    if previous and before.profile == previous.profile and before.name == previous.before.name:
        return previous.before  # that server was killed, and has put nothing back
    return before


def _port(options: UpOptions) -> int:
    """Return the port of a new server; 0 for any free one.

    If none was chosen it is that of the last server on these data: clients that wait, and slots of
    a server that was killed, find the new one there.
    """
    if options.port:
        return options.port
    last = server_record.last_port(options.data)
    if options.port is None:
        return last or _PORT
    return last if last and is_free(last) else 0


@contextlib.contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C, so that they stop everything in order."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    previous = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def _hint(text: str) -> None:
    with contextlib.suppress(OSError):  # a closed terminal must not prevent the stop
        output.hint(text)


def _announce(options: UpOptions, record: ServerRecord, lines: list[str], more: list[str]) -> None:
    name = options.profile or record.before.name
    stop_line = f"Stop it with: {options.down}" if options.detach else "Ctrl-C stops it."
    output.text(
        "\n".join(
            [
                *lines,
                *profile.take(name, record.profile),
                *announcement.job_lines(record),
                *more,
                *announcement.advice_lines(stop_line),
            ]
        )
    )


def _more_lines(
    options: UpOptions, addresses: Addresses | None, servers: StackServers
) -> list[str]:
    pages = announcement.address_lines(options.data, addresses) if addresses else []
    return [*pages, *servers.summary()]
