"""The X server of a desktop, its window manager, and what browsers and VNC clients need of it."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import signal
import struct
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from cloud._config.settings import environment
from cloud._notebook.desktop_site import DesktopSite, Screen
from cloud._notebook.hosting import HOST, end, free_ports, program_path
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from picloud_model.wire.notebook import Notebook

_NEEDED: Final = {
    "tigervnc-standalone-server": ("Xvnc",),
    "tigervnc-tools": ("tigervncpasswd", "vncpasswd"),
    "x11-xkb-utils": ("xkbcomp",),
    "openbox": ("openbox",),
}
"""The Debian package of each program that is needed, and the names that it may have."""
_TERMINALS: Final = ("x-terminal-emulator", "xterm")
_BROWSERS: Final = ("firefox-esr", "firefox", "chromium")
_OFFICES: Final = ("libreoffice",)
_WILD: Final = 0xFFFF
"""The family of an entry of an X authority file that is for every host."""
_COOKIE: Final = b"MIT-MAGIC-COOKIE-1"
_COOKIE_BYTES: Final = 16
_PASSWORD_BYTES: Final = 6
"""As many as make 8 characters: VNC cuts what follows."""


class Desktop:
    """A screen that Xvnc keeps in memory, with a window manager.

    Args:
        idle_s: Seconds without a browser or VNC client until it ends; 0 for never.
        screen: Width, height and depth, such as `1280x800x24`.
        run: A command line that is run when the screen is there; "" for none.
    """

    title = "The X server"

    def __init__(self, idle_s: int, screen: str, run: str) -> None:
        self._idle_s = idle_s
        self._geometry, _, self._depth = screen.rpartition("x")
        self._run = run

    def check(self) -> None:
        """Check that all programs are installed.

        Raises:
            CloudException: When some are not; it names their packages.
        """
        missing = [package for package, names in _NEEDED.items() if not _found(names)]
        if missing:
            raise CloudException(
                f"A desktop needs Debian's {', '.join(missing)} where its job runs: name an "
                "environment that has these packages, such as /picloud/desktop, or install them "
                "on the machines of the server."
            )

    @contextmanager
    def started(
        self, machine: Notebook, folder: Path, private: Path, ports: list[int]
    ) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """Start the X server, the window manager and the web site."""
        web_port, vnc_port = free_ports(ports, 2)
        screen = Screen(name=machine.name, port=vnc_port, password=vnc_password(machine.token))
        (private / "authority").write_bytes(authority(secrets.token_bytes(_COOKIE_BYTES)))
        with ExitStack() as ends:
            server = ends.enter_context(self._server(private, screen))
            display = _display_of(server)
            variables = environment() | _variables(folder, private, display)
            _write_menu(folder)
            commands = [[_found(("openbox",))]]
            if self._run:
                commands.append(["/bin/sh", "-c", self._run])
            elif terminal := _found(_TERMINALS):
                commands.append([terminal])
            for command in commands:
                process = ends.enter_context(_program(command, folder, variables))
                ends.callback(_end_all, process)
            site = DesktopSite(web_port, machine.token, screen, server.terminate)
            ends.enter_context(site.serving())
            # Before the programs, so that they do not write that their screen is gone.
            ends.callback(end, server)
            yield server, web_port

    @contextmanager
    def _server(self, private: Path, screen: Screen) -> Iterator[subprocess.Popen[bytes]]:
        hashed = subprocess.run(  # noqa: S603 - nothing of it is a user's
            [_found(_NEEDED["tigervnc-tools"]), "-f"],
            input=f"{screen.password}\n".encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
        password = private / "password"
        password.write_bytes(hashed.stdout)
        with subprocess.Popen(  # noqa: S603 - as above
            [
                _found(("Xvnc",)),
                *("-displayfd", "1"),
                *("-rfbport", str(screen.port)),
                *("-interface", HOST),
                *("-SecurityTypes", "VncAuth"),
                *("-PasswordFile", str(password)),
                *("-geometry", self._geometry),
                *("-depth", self._depth),
                *("-desktop", screen.name),
                *("-auth", str(private / "authority")),
                *("-nolisten", "tcp"),
                *("-MaxDisconnectionTime", str(self._idle_s)),
                "-AlwaysShared",
            ],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                end(process)


def vnc_password(token: str) -> str:
    """Return the password that VNC clients need, which is derived from the token of a desktop.

    >>> vnc_password("t0")
    'RApGMu3U'
    """
    digest = hashlib.blake2b(token.encode(), digest_size=_PASSWORD_BYTES, person=b"vnc")
    return base64.urlsafe_b64encode(digest.digest()).decode()


def authority(cookie: bytes) -> bytes:
    """Return an X authority file that lets in with a cookie, at any display of any host.

    >>> authority(b"c").hex()
    'ffff0000000000124d49542d4d414749432d434f4f4b49452d31000163'
    """
    fields = (b"", b"", _COOKIE, cookie)
    counted = b"".join(struct.pack("!H", len(each)) + each for each in fields)
    return struct.pack("!H", _WILD) + counted


def menu(programs: Mapping[str, str]) -> str:
    """Return the menu of the window manager, with programs by their names."""
    items = "".join(
        f"<item label={quoteattr(name)}><action name='Execute'>"
        f"<command>{escape(command)}</command></action></item>"
        for name, command in programs.items()
    )
    return (
        "<openbox_menu xmlns='http://openbox.org/3.4/menu'>"
        f"<menu id='root-menu' label='Desktop'>{items}</menu></openbox_menu>\n"
    )


def _found(names: tuple[str, ...]) -> str:
    """Return the path of the first of these programs that is installed; "" if none is."""
    paths = (shutil.which(name, path=environment().get("PATH")) for name in names)
    return next(filter(None, paths), "")


def _display_of(server: subprocess.Popen[bytes]) -> str:
    """Return the number of the display, once the X server is ready."""
    assert server.stdout is not None
    number = server.stdout.readline().strip().decode()
    if not number:
        raise CloudException("The X server did not start; the log of the job shows why.")
    return f":{number}"


def _variables(folder: Path, private: Path, display: str) -> dict[str, str]:
    """Return the variables of programs on the screen."""
    made = {"XDG_CACHE_HOME": private / "cache", "XDG_RUNTIME_DIR": private / "run"}
    for path in made.values():
        path.mkdir(mode=0o700)
    return {
        **{name: str(path) for name, path in made.items()},
        "DISPLAY": display,
        "XAUTHORITY": str(private / "authority"),
        "HOME": str(folder),
        "PATH": program_path(),
    }


def _write_menu(folder: Path) -> None:
    """Write the menu of the window manager, unless the user has one of their own."""
    path = folder / ".config" / "openbox" / "menu.xml"
    if path.exists():
        return
    candidates = {
        "Terminal": _found(_TERMINALS),
        "Web browser": _found(_BROWSERS),
        "Office": _found(_OFFICES),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(menu({name: each for name, each in candidates.items() if each}))


def _program(
    command: list[str], folder: Path, variables: dict[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - what the owner of the desktop has chosen
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, start_new_session=True
    )


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End a program with what it has started in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return
        return
