"""The SSH server of OpenSSH on loopback, for `bench.ports`; Debian's, if none is installed."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from bench.contenders.redis_peer import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST: Final = "peer"
"""The name by which the configuration knows it."""
_HOME: Final = Path(platformdirs.user_cache_dir("picloud")) / "debian-sshd"
_PACKAGES: Final = ("openssh-server", "libwrap0", "libnsl2", "libtirpc3")
_START_S: Final = 10.0
_AS_ROOT: Final = (
    'mount --bind "$1" /etc/passwd && mount -t tmpfs none /run && mkdir -m 755 /run/sshd '
    '&& exec "$2" -D -e -f "$3"'
)
"""As root, sshd wants a user and a directory of its own: it gets them in a mount namespace."""


def sshd() -> Path:
    """Return the server's program; fetch and unpack the package of Debian where it is missing.

    Raises:
        RuntimeError: When it cannot be had here.
    """
    installed = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    unpacked = _HOME / "usr/sbin/sshd"
    if installed or unpacked.exists():
        return Path(installed or unpacked)
    with tempfile.TemporaryDirectory() as folder:
        try:
            for command in (
                ("apt-get", "--quiet", "download", "-o", "APT::Sandbox::User=root", *_PACKAGES),
                ("sh", "-c", 'for each in *.deb; do dpkg --extract "$each" "$0"; done', str(_HOME)),
            ):
                subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError) as error:
            message = f"There is no sshd here, and Debian's cannot be fetched: {error}"
            raise RuntimeError(message) from error
    return unpacked


@contextlib.contextmanager
def server(home: Path) -> Iterator[Path]:
    """Run a server; yield a configuration for `ssh -F`, which knows it as `peer`.

    Args:
        home: A directory for its keys.
    """
    program, user = sshd(), pwd.getpwuid(os.getuid()).pw_name
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name]
        subprocess.run(command, check=True)
    port = free_port()
    (home / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {home / 'host'}\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {home / 'user.pub'}\nStrictModes no\nPermitRootLogin yes\n"
    )
    (home / "ssh_config").write_text(
        f"Host {HOST}\n HostName 127.0.0.1\n Port {port}\n User {user}\n"
        f" IdentityFile {home / 'user'}\n IdentitiesOnly yes\n StrictHostKeyChecking no\n"
        f" UserKnownHostsFile {home / 'known'}\n LogLevel ERROR\n"
    )
    libraries = ":".join(map(str, _HOME.glob("usr/lib/*-linux-gnu")))
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
    log = (home / "sshd.log").open("wb")
    with log, subprocess.Popen(_command(program, home), stderr=log, env=environment) as running:
        try:
            _await(port)
            yield home / "ssh_config"
        finally:
            running.terminate()


def _command(program: Path, home: Path) -> list[str]:
    if os.geteuid():
        return [str(program), "-D", "-e", "-f", str(home / "sshd_config")]
    users = Path("/etc/passwd").read_text(encoding="utf-8")
    own = "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
    (home / "passwd").write_text(users if "\nsshd:" in users else users + own)
    files = [str(each) for each in (home / "passwd", program, home / "sshd_config")]
    return ["unshare", "--mount", "sh", "-c", _AS_ROOT, "sh", *files]


@contextlib.contextmanager
def forwarded(configuration: Path, port: int) -> Iterator[int]:
    """Forward a local port to a port of the server's machine by `ssh -L`; yield the local one."""
    local = free_port()
    forward = f"{local}:127.0.0.1:{port}"
    command = ["ssh", "-F", configuration, "-N", "-L", forward, HOST]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as running:
        try:
            _await(local)
            yield local
        finally:
            running.terminate()


def _await(port: int) -> None:
    """Wait until something listens on a local port."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
