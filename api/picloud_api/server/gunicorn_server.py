"""The application under gunicorn, on one socket."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import logging
import os
import shutil
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import msgspec
import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from picloud_model.crashpoints import arm
from picloud_model.errors import PiCloudError
from uvicorn_worker import UvicornWorker

from picloud_api.app import Application
from picloud_api.server.affinity import AccountAffinity
from picloud_api.server.handoff import HandoffServer
from picloud_api.server.log_stream import LogStream
from picloud_api.server.start_check import start_problem
from picloud_api.usecases.jobs.visits.published_site import PublishedSite
from picloud_api.wiring import end_slots, preload

if TYPE_CHECKING:
    from typing import TextIO

    from picloud_api.settings import ServerSettings

_log = structlog.get_logger()

STOP_S = 2
"""How long requests may take to end when the server stops."""
PORT_TRIES = 20
"""How many ports are tried that the system chooses, until one is free at both hosts."""
_PR_SET_PDEATHSIG = 1


class Worker(UvicornWorker):  # type: ignore[misc]
    """Uvicorn inside gunicorn: measured as 0.03 ms a request faster than gunicorn's own ASGI."""

    number = -1
    """Its number among the processes, if there are several."""

    CONFIG_KWARGS = {  # noqa: RUF012 - the name and form that uvicorn_worker requires
        "loop": "uvloop",
        "http": "httptools",
        "lifespan": "on",
        "access_log": False,
        "proxy_headers": False,  # nothing depends on a client's address or scheme
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": STOP_S,
        "server_header": False,
        "interface": "asgi3",
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = HandoffServer(self.config, self.app.affinity, self.number)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class Served(BaseApplication):  # type: ignore[misc]
    """Gunicorn's view of one server."""

    def __init__(self, settings: ServerSettings, listeners: list[socket.socket], url: str) -> None:
        self._settings = settings
        self._listeners = listeners
        self._url = url
        self.affinity = AccountAffinity(settings.processes) if settings.processes > 1 else None
        super().__init__()

    def load_config(self) -> None:
        """Set the options of gunicorn."""
        for name, value in {
            "bind": [f"fd://{listener.fileno()}" for listener in self._listeners],
            "workers": self._settings.processes,
            "worker_class": f"{__name__}.Worker",
            "timeout": 60,
            # Requests get STOP_S to end, then slots the same: gunicorn must wait for both.
            "graceful_timeout": 4 * STOP_S,
            "loglevel": "warning",  # what is less we log ourselves
            "control_socket_disable": True,
            "worker_tmp_dir": None,
            "pre_fork": self._number,
            "child_exit": lambda _arbiter, worker: self._ended(worker.number),
            "post_fork": lambda _arbiter, worker: self._forked(worker.age),
            "when_ready": lambda _arbiter: self._watch_owner(),
        }.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Application:
        """Return the application, in the worker."""
        return Application(self._settings, self._url)

    def _number(self, arbiter: Arbiter, worker: Worker) -> None:
        """Give a process the number of the one that it replaces."""
        taken = {other.number for other in arbiter.WORKERS.values()}
        free = (number for number in range(self._settings.processes) if number not in taken)
        worker.number = next(free, -1)

    def _ended(self, number: int) -> None:
        if self.affinity is not None and number >= 0:
            self.affinity.refuse(number)

    def _forked(self, age: int) -> None:
        die_with_parent()
        # Only the first process reports that the server is ready, or one that replaces a dead one.
        if 1 < age <= self._settings.processes:
            self._settings = msgspec.structs.replace(self._settings, ready_fd=-1)
        arm(self._settings.crashpoint)
        if self._settings.owner_fd >= 0:
            os.close(self._settings.owner_fd)

    def _watch_owner(self) -> None:
        if self._settings.owner_fd >= 0:
            threading.Thread(target=self._until_owner_ends, daemon=True).start()

    def _until_owner_ends(self) -> None:
        # The process that started this one holds the pipe's other end: it closes even by kill -9.
        while os.read(self._settings.owner_fd, 64):
            pass
        os.kill(os.getpid(), signal.SIGTERM)


def serve(settings: ServerSettings) -> None:
    """Listen and serve until a signal ends the process."""
    _set_up_logging(settings.log_level)
    master = os.getpid()
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    listeners = _listen_for_all(settings)
    host, port = listeners[0].getsockname()[:2]
    url = f"http://{host}:{port}"
    settings = _with_site(settings, port, is_listening=len(listeners) > 1)
    if settings.servers and settings.servers.slots:
        # Slots in containers reach this machine at another address.
        listeners.append(_listen(settings.servers.slots.host, port))
    preload(settings)
    # What is there from now on is not garbage; looking through it would also copy it to each fork.
    gc.freeze()
    gc.enable()
    # Before gunicorn starts, as it prints its own message if a worker cannot start.
    if problem := start_problem(settings):
        # A service waits for what is away; a server started by hand ends with the error.
        if not (problem.passes and settings.servers and settings.ready_fd < 0):
            sys.exit(problem.message)
        _log.warning("start.waits", reason=problem.message)
    try:
        Served(settings, listeners, url).run()
    finally:
        if os.getpid() == master:
            _clear_up(settings, url)


def _clear_up(settings: ServerSettings, url: str) -> None:
    """Clean up after a worker that was killed or did not start completely."""
    if settings.servers is None:
        with suppress(PiCloudError):
            asyncio.run(end_slots(settings, url))
    if settings.discard:
        shutil.rmtree(settings.data, ignore_errors=True)


def die_with_parent() -> None:
    """Let Linux end this process when its parent ends, so that no port stays in use."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _listen_for_all(settings: ServerSettings) -> list[socket.socket]:
    """Listen for the interface, and on the same port for what is published, if that is here."""
    for _ in range(PORT_TRIES):
        listener = _listen(settings.host, settings.port)
        if not settings.published_site.is_own:
            return [listener]
        another = _new_socket()
        try:
            another.bind((settings.published_site.host, listener.getsockname()[1]))
        except OSError as error:
            another.close()
            if error.errno == errno.EADDRINUSE and not settings.port:
                listener.close()
                continue
            _log.warning("published.off", host=settings.published_site.host, reason=error.strerror)
            return [listener]
        return [listener, another]
    sys.exit("Cannot find a free port; choose one with --port.")


def _with_site(settings: ServerSettings, port: int, *, is_listening: bool) -> ServerSettings:
    """Return the settings with what is known once the server listens."""
    if not settings.published_site.is_own:
        return settings
    if not is_listening:
        return msgspec.structs.replace(settings, published_site=PublishedSite())
    site = settings.published_site.at_port(port)
    # Browsers send the cookies of a host to all its ports.
    public = msgspec.structs.replace(settings.public_host, address=site.host)
    return msgspec.structs.replace(settings, published_site=site, public_host=public)


def _new_socket() -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Else a response in two writes waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _listen(host: str, port: int) -> socket.socket:
    listener = _new_socket()
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.exit(
            f"Cannot listen on {host}:{port}: {error.strerror}. Is a server running there already? "
            "Choose another port with --port."
        )
    return listener


def _set_up_logging(level: str) -> None:
    number = logging.getLevelName(level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            number if isinstance(number, int) else logging.WARNING
        ),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", LogStream(sys.stderr))),
    )
