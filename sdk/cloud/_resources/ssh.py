"""SSH to jobs: the files that OpenSSH needs for one job, and the stream that it uses."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

import msgspec

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_model.wire.tunnel import CertificateIssued

USER: Final = "emp"
"""The name that clients log in by. Which user a job has is not theirs to choose."""
_BANNER: Final = b"SSH-"
_BANNER_S: Final = 20.0
"""How long the server in a job may take to start."""
_MOST_LINE: Final = 256
_PRIVATE: Final = 0o700
_HELPER: Final = (
    "import socket,sys; sys.stderr=None; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
    "f=socket.recv_fds(s,1,1)[1]; socket.send_fds(socket.socket(fileno=1),[b'x'],f)"
)
"""Passes a connected socket on to ssh, which then needs no process between it and the gateway.

If the connection fails, the error is that of this program: the helper prints none.
"""


class SshFiles(msgspec.Struct, frozen=True):
    """A directory with a key, a certificate for one host and a configuration for OpenSSH.

    Attributes:
        directory: Where the files are; only this user may read them.
        target: The job, or the name of the environment whose setup machine is the host.
        key: The private key; by default a file in the directory.
    """

    directory: Path
    target: int | str
    key: Path | None = None

    @property
    def host(self) -> str:
        """The name by which the configuration knows the host."""
        return f"picloud-{self.target}"

    @property
    def identity(self) -> Path:
        """The private key."""
        return self.key or self.directory / "key"

    @property
    def certificate(self) -> Path:
        """The certificate for the key."""
        return self.directory / "key-cert.pub"

    @property
    def configuration(self) -> Path:
        """The configuration, for `ssh -F`."""
        return self.directory / "config"

    def make_key(self) -> str:
        """Make a key pair unless there is one; return the public key.

        Raises:
            CloudException: When OpenSSH is not installed.
        """
        public = self.identity.with_name("key.pub")
        self.directory.mkdir(_PRIVATE, parents=True, exist_ok=True)
        if not public.exists():
            public.parent.mkdir(_PRIVATE, parents=True, exist_ok=True)
            command = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", ""]
            made = subprocess.run(  # noqa: S603 - no part comes from elsewhere
                [*command, "-f", str(self.identity)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                raise CloudException(f"ssh-keygen cannot make a key: {made.stderr.strip()}")
        return " ".join(public.read_text(encoding="ascii").split()[:2])

    def write(self, issued: CertificateIssued, proxy: Sequence[str]) -> None:
        """Write the certificate, the key of the job and the configuration.

        Args:
            issued: What the server has issued.
            proxy: The options of OpenSSH that say how the job is reached.
        """
        _replace(self.certificate, f"{issued.certificate}\n")
        _replace(self.directory / "known_hosts", f"{self.host} {issued.host_key}\n")
        lines = [f"Host {self.host}", *(f"    {line}" for line in self.lines(proxy))]
        _replace(self.configuration, "".join(f"{line}\n" for line in lines))

    def lines(self, proxy: Sequence[str]) -> list[str]:
        """Return the configuration of the host, without its first line."""
        return [
            f"User {USER}",
            f'IdentityFile "{self.identity}"',
            f'CertificateFile "{self.certificate}"',
            "IdentitiesOnly yes",
            "IdentityAgent none",
            f'UserKnownHostsFile "{self.directory / "known_hosts"}"',
            "GlobalKnownHostsFile /dev/null",
            "StrictHostKeyChecking yes",
            f"HostKeyAlias {self.host}",
            "UpdateHostKeys no",
            *proxy,
        ]


def program(name: str) -> str:
    """Return the path of a program of OpenSSH's.

    Raises:
        CloudException: When it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise CloudException(f"{name} is not installed; install the client of OpenSSH.")
    return path


class ShellTunnels(Protocol):
    """Opens streams to shell servers."""

    def connect_shell(self, target: Any, /) -> socket.socket:
        """Return a socket at whose other end an SSH server runs."""

    def certify(self, target: Any, public_key: str, /) -> CertificateIssued:
        """Return a certificate for a public key."""


class SshConnection:
    """A connection to a host for one `ssh`, opened while the files for it are made.

    Args:
        tunnels: Opens the stream.
        files: Where the files go.

    Raises:
        CloudException: When the host cannot be reached.
    """

    def __init__(self, tunnels: ShellTunnels, files: SshFiles) -> None:
        self._files = files
        self._stream = tunnels.connect_shell(files.target)
        try:
            # The server in the job starts meanwhile.
            issued = tunnels.certify(files.target, files.make_key())
            address = files.directory / "stream"
            files.write(
                issued,
                (
                    f'ProxyCommand "{sys.executable}" -S -E -c "{_HELPER}" "{address}"',
                    "ProxyUseFdpass yes",
                ),
            )
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(address))
            self._listener.listen(1)
        except OSError as error:
            self._stream.close()
            message = f"The connection to {_named(files.target)} failed: {error}."
            raise CloudException(message) from error
        except BaseException:
            self._stream.close()
            raise

    def run(
        self, options: Sequence[str], command: Sequence[str], stdin: BinaryIO | None = None
    ) -> int:
        """Run `ssh` over the connection; return its exit status, which is that of the command.

        Args:
            options: Options of `ssh`.
            command: A command and its arguments; none for a shell.
            stdin: What the command reads; by default what this program does.

        Raises:
            CloudException: When the server does not start.
        """
        ssh = [program("ssh"), "-F", str(self._files.configuration), *options, self._files.host]
        with subprocess.Popen([*ssh, *command], stdin=stdin) as running:  # noqa: S603 - the user's own
            try:
                self.offer()  # `ssh` has started meanwhile
            except BaseException:
                running.kill()
                raise
            while True:
                # Ctrl-C is for the command: ssh passes it on, or ends.
                with contextlib.suppress(KeyboardInterrupt):
                    return running.wait()

    def offer(self) -> None:
        """Give the connection to the next `ssh` that uses the configuration.

        Raises:
            CloudException: When the server does not start.
        """
        await_banner(self._stream, self._files.target)
        threading.Thread(target=self._hand_over, daemon=True).start()

    def _hand_over(self) -> None:
        with contextlib.suppress(OSError), self._stream:
            helper, _ = self._listener.accept()
            with helper:
                socket.send_fds(helper, [b"x"], [self._stream.fileno()])

    def close(self) -> None:
        """Close what was not handed over."""
        self._listener.close()
        self._stream.close()


def connect(
    tunnels: ShellTunnels,
    target: int | str,
    options: Sequence[str],
    command: Sequence[str],
    stdin: BinaryIO | None = None,
) -> int:
    """Run ssh to a job that is processing, as `SshConnection.run` does; return its exit status."""
    with connection(tunnels, target) as (opened, _):
        return opened.run(options, command, stdin)


@contextlib.contextmanager
def connection(
    tunnels: ShellTunnels, target: int | str
) -> Iterator[tuple[SshConnection, SshFiles]]:
    """Yield a connection to a host, and its files, which are removed with it."""
    with tempfile.TemporaryDirectory(prefix="picloud-ssh-") as directory:
        files = SshFiles(Path(directory), target)
        opened = SshConnection(tunnels, files)
        try:
            yield opened, files
        finally:
            opened.close()


def await_banner(stream: socket.socket, target: int | str) -> None:
    """Wait until the server of a host sends its first bytes, which stay in the stream.

    Raises:
        CloudException: When it sends a sentence instead, or nothing.
    """
    stream.settimeout(_BANNER_S)
    try:
        first = stream.recv(len(_BANNER), socket.MSG_PEEK)
        if not _BANNER.startswith(first) or not first:
            line = stream.recv(_MOST_LINE).decode(errors="replace").strip()
            what = _named(target)
            ended = f"{what[0].upper()}{what[1:]} ended before the connection was open."
            raise CloudException(line or ended)
    except TimeoutError:
        message = f"The shell server of {_named(target)} did not start; try again."
        raise CloudException(message) from None
    except OSError as error:
        raise CloudException(f"The connection to {_named(target)} was lost: {error}.") from error
    stream.settimeout(None)


def carry_standard_streams(stream: socket.socket) -> None:
    """Carry bytes between a stream and the standard streams of this process, until it ends."""
    sender = threading.Thread(target=_send_input, args=(stream,), daemon=True)
    sender.start()
    with contextlib.suppress(OSError):
        while data := stream.recv(65536):
            while data:
                data = data[os.write(1, data) :]


def _send_input(stream: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(0, 65536):
            stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)


def _named(target: int | str) -> str:
    """Return what a host is called in errors.

    >>> _named(7), _named("plots")
    ('job 7', "the setup machine of 'plots'")
    """
    return f"job {target}" if isinstance(target, int) else f"the setup machine of {target!r}"


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, as another ssh may be reading it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
