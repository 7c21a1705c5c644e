"""What `picloud up` does: start or find servers, write the profile, wait for Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec
from cloud import CloudException
from cloud._client.local_server import LocalServer
from cloud._config import profile
from cloud._config.settings import ClientSettings, environment
from picloud_driver.stack import records
from picloud_driver.stack.servers.ports import is_free

from picloud import output
from picloud.stack import server_record
from picloud.stack.data_dir import StackName, default
from picloud.stack.down import stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.stack.addresses import Addresses
    from picloud_driver.stack.hashicorp import Stack

    from picloud.stack.server_record import ServerRecord

_PROFILE: Final = "local"
_STOP_S: Final = 5.0
_LOOK_S: Final = 1.0
"""How often servers that run are looked after."""
_SOON_S: Final = 60.0
"""A server that ends so soon after it was started again has trouble that no start cures."""


class UpOptions(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    stack: StackName
    data: Path
    port: int
    workers: int | None
    processes: int
    detach: bool

    @property
    def log(self) -> Path:
        """Where the server logs."""
        return self.data / "server.log"

    @property
    def down(self) -> str:
        """The command that stops it."""
        usual = self.data == default(self.stack)
        return "picloud down" if usual else f"picloud down --data {shlex.quote(str(self.data))}"


def run(wish: UpOptions) -> None:
    """Start what does not run yet; return at once if it is to be detached, else after Ctrl-C."""
    try:
        wish.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CloudException(f"Cannot use {wish.data} for data: {error.strerror}.") from error
    with server_record.explained(), _terminated_is_interrupted():
        with records.exclusive(wish.data):
            up = server_record.read(wish.data)
            there = up if up and up.process.is_running() else None
            if there:
                _refuse_to_share(wish, there)
            elif up and not wish.port:
                wish = msgspec.structs.replace(wish, port=_port_before(up))
            servers = _Servers(wish)
            addresses = servers.start()
            if there:
                server_record.await_health(there)
                servers.close(there)
                _announce(wish, there, addresses, servers.about())
                return
            server = servers.below(addresses)
            up = server_record.remember(
                wish.data, wish.stack, server.pid, server.ready.url, server.ready.key
            )
            servers.close(up)
        _serve(wish, up, addresses, servers, server)


class _Servers:
    """The servers below ours: none for the embedded stack."""

    def __init__(self, wish: UpOptions) -> None:
        self._wish = wish
        self._slots = wish.workers or os.cpu_count() or 1
        self._stack: Stack | None = None
        self._again: dict[str, float] = {}
        self._url = ""
        if wish.stack is StackName.HASHICORP:
            self._stack = server_record.hashicorp(wish.data, self._slots)

    def start(self) -> Addresses | None:
        """Start those that do not run."""
        if self._stack is None:
            return None
        output.text("Starting Consul, Vault, S3 and Nomad:")
        return self._stack.start()

    def below(self, addresses: Addresses | None) -> LocalServer:
        """Start ours over them; they end again when it cannot be started."""
        try:
            return LocalServer.start(
                _arguments(self._wish),
                self._wish.log,
                environment=environment() | addresses.environment() if addresses else None,
                detached=self._wish.detach,
            )
        except BaseException:
            if self._stack:
                self._stack.undo()
            raise

    def close(self, up: ServerRecord) -> None:
        """Let isolated slots reach our server."""
        self._url = up.url
        if self._stack:
            self._stack.restrict_slots(up.url)

    def about(self) -> list[str]:
        """How many jobs run at once, and what keeps them apart, in words."""
        if self._stack is None:
            return []
        apart = isolation(self._stack.not_isolated, self._stack.firewall_missing)
        return [*slots(self._slots, self._stack.capacity, self._stack.shortage), "", *apart]

    def revive(self) -> None:
        """Start again what has ended by itself.

        Raises:
            CloudException: When it had done so before, a moment ago.
        """
        ended = self._stack.ended() if self._stack else []
        if not self._stack or not ended:
            return
        now = time.monotonic()
        for name in ended:
            if now - self._again.get(name, -_SOON_S) < _SOON_S:
                raise CloudException(f"{name} ends again and again; look at its log.")
            self._again[name] = now
        output.hint(f"{', '.join(ended)} ended; starting it again:")
        self._stack.start()
        self._stack.restrict_slots(self._url)


def _refuse_to_share(wish: UpOptions, up: ServerRecord) -> None:
    if not wish.detach or up.stack is not wish.stack:
        raise CloudException(
            f"PiCloud runs already on {wish.data}, at {up.url} on the {up.stack.value} stack; "
            f"stop it with: {wish.down}"
        )


def _port_before(up: ServerRecord) -> int:
    """The port of a server that was killed, where its slots look for it, if that is free."""
    port = int(up.url.rpartition(":")[2])
    return port if is_free(port) else 0


def _arguments(wish: UpOptions) -> list[str]:
    chosen = {"--data": wish.data, "--host": "127.0.0.1", "--port": wish.port}
    chosen |= {"--stack": wish.stack.value, "--processes": wish.processes}
    if wish.workers is not None:
        chosen["--slots"] = wish.workers
    return [str(part) for pair in chosen.items() for part in pair]


def _serve(
    wish: UpOptions,
    up: ServerRecord,
    addresses: Addresses | None,
    servers: _Servers,
    server: LocalServer,
) -> None:
    try:
        _announce(wish, up, addresses, servers.about())
        if wish.detach:
            return
        while server.wait(_LOOK_S) is None:
            with records.exclusive(wish.data):
                # Whoever stops us holds the lock meanwhile, and ends our server first.
                if server.wait(0) is None:
                    servers.revive()
    except KeyboardInterrupt:
        _hint("Stopping; press Ctrl-C again to stop at once.")
        _stop(wish, up, server)
        return
    except BaseException:
        _stop(wish, up, server)
        raise
    _ended(wish, up, server)


def _ended(wish: UpOptions, up: ServerRecord, server: LocalServer) -> None:
    """Our server has ended: `picloud down` has done that, or something is wrong."""
    with records.exclusive(wish.data):
        if server_record.read(wish.data) is None:
            _hint("Stopped by picloud down.")
            return
        stop(wish.data, up, _hint)
    raise CloudException(f"The server ended with status {server.wait()}; see {wish.log}.")


def _stop(wish: UpOptions, up: ServerRecord, server: LocalServer) -> None:
    with records.exclusive(wish.data):
        try:
            server.stop(_STOP_S)
        except KeyboardInterrupt:
            server.kill()
        stop(wish.data, up, _hint)


@contextlib.contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """Let a termination, or a terminal that was closed, stop everything in order as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _hint(text: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that was closed stops nothing
        output.hint(text)


def _announce(
    wish: UpOptions, up: ServerRecord, addresses: Addresses | None, about: list[str]
) -> None:
    file = profile.path(ClientSettings.read())
    profile.write(file, _PROFILE, profile.Profile(up.url, up.key))
    lines = [
        f"PiCloud runs at {up.url}",
        f"  profile  {_PROFILE} in {file}",
        f"  data     {wish.data}",
    ]
    if addresses:
        lines += [*_about(wish, addresses), *about]
    lines += [
        "",
        "Try it in Python:",
        "",
        "    import cloud",
        "    jid = cloud.call(pow, 2, 10)",
        "    print(cloud.result(jid))",
        "",
        f"Stop it with: {wish.down}" if wish.detach else "Ctrl-C stops it.",
    ]
    output.text("\n".join(lines))


def _about(wish: UpOptions, addresses: Addresses) -> list[str]:
    tools = wish.data / "stack" / "environment"
    # It names servers of ours only.
    tokens = [f"  tokens   . {shlex.quote(str(tools))}"] if tools.stat().st_size else []
    return [
        f"  Nomad    {addresses.nomad.address}/ui",
        f"  Consul   {addresses.consul.address}/ui",
        *tokens,
    ]


def slots(asked: int, room: int | None, short: str) -> list[str]:
    """How many jobs Nomad runs at once, in words.

    Args:
        asked: How many it should.
        room: How many it does; None where Nomad's own machines say that.
        short: Why these are fewer; "" when they are not.

    >>> slots(64, 64, ""), slots(64, 40, "this machine has no memory for more")
    (['  slots    64'], ['  slots    40, not 64: this machine has no memory for more'])
    """
    if room is None:
        return []
    return [f"  slots    {room}, not {asked}: {short}" if short else f"  slots    {room}"]


def isolation(why: str, unfenced: str) -> list[str]:
    """What keeps jobs apart, in words.

    Args:
        why: They are not isolated; "" when they are.
        unfenced: Why they can reach more ports of this machine than they need; else "".
    """
    if why:
        return [
            "Nomad runs jobs by its raw_exec driver, which does not isolate them: they may do",
            "whatever Nomad's user may do on this machine. Run your own code only.",
            f"Not isolated, as {why}.",
        ]
    lines = ["Nomad runs jobs by its docker driver: isolated, and limited to their core type."]
    if unfenced:
        lines += [
            f"They reach every port that this machine opens to its networks, as {unfenced}:",
            "run picloud up as root, with iptables installed, to close all but the API and S3.",
        ]
    return lines
