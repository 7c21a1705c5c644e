"""Secrets in one encrypted file: the adapter of the embedded stack."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
import time
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from picloud_model.errors import RequestRefused, Unavailable

from picloud_driver import disk
from picloud_driver.secret import ssh_certificate
from picloud_driver.secret.name import checked_name, checked_value
from picloud_driver.secret.port import SecretPort

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from picloud_driver.secret.port import MintedSecret, SecretRole

_OWN_FILE_PARTS: Final = 3
"""A name of so many parts or more has a file of its own."""
_NO_SOURCES: Final = (
    "Secrets can be minted for jobs with Vault only, which this server does not have: use the "
    "hashicorp stack, or store a value with `picloud secret set`."
)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class FileSecrets(SecretPort):
    """Keeps secrets in files that only the server's user can read, encrypted.

    Those of the server itself share one file. A name of three parts or more, as those of users
    have, gets a file of its own, so that what the server reads often remains small.

    Without `master_key` the key is made at first use and kept in `master.key` next to the secrets.
    Then the encryption only protects copies of the secrets file made without the key: this user and
    root can read the directory, and so the secrets. For more protection, pass a key that is kept
    elsewhere, or use Vault.

    Args:
        root: The directory of the files; made if missing.
        master_key: 32 bytes in URL-safe base64, as `Fernet.generate_key` makes them.

    Raises:
        Unavailable: When a file is missing, damaged, readable by others or encrypted with another
            key.

    >>> import asyncio, pathlib, tempfile
    >>> async def example(root):
    ...     secrets = FileSecrets(root)
    ...     await secrets.put("signing/token", b"value")
    ...     return await secrets.get("signing/token")
    >>> with tempfile.TemporaryDirectory() as root:
    ...     asyncio.run(example(pathlib.Path(root)))
    b'value'
    """

    adapter: ClassVar[str] = "file"

    def __init__(self, root: Path, *, master_key: bytes | None = None) -> None:
        self._root = root
        self._file = root / "secrets"
        self._apart = root / "apart"
        with disk.faults(root):
            disk.private_directory(root)
            _refuse_others(root, root.stat().st_mode)
            with self._locked():
                self._fernet = self._cipher(master_key or self._stored_key())
                self._read()

    def __repr__(self) -> str:
        return f"FileSecrets({str(self._root)!r})"

    async def get(self, name: str) -> bytes | None:
        """See `SecretPort.get`."""
        checked_name(name)
        with disk.faults(self._root):
            own_file = self._own_file(name)
            return self._read().get(name) if own_file is None else self._read_apart(own_file)

    async def put(self, name: str, value: bytes) -> None:
        """See `SecretPort.put`."""
        checked_value(checked_name(name), value)
        if (own_file := self._own_file(name)) is not None:
            await asyncio.to_thread(self._write_apart, own_file, value)
            return

        def write(secrets: dict[str, bytes]) -> None:
            secrets[name] = value

        # In a thread, as this waits for the disk and for a lock that another process may hold.
        await asyncio.to_thread(self._change, write)

    async def get_or_create(self, name: str, make: Callable[[], bytes]) -> bytes:
        """See `SecretPort.get_or_create`; `make` is called in a thread, under the lock."""
        secret = await self.get(name)
        if secret is not None:
            return secret
        if (own_file := self._own_file(name)) is not None:
            return await asyncio.to_thread(self._create_apart, own_file, name, make)

        def create(secrets: dict[str, bytes]) -> None:
            if name not in secrets:
                secrets[name] = checked_value(name, make())

        return (await asyncio.to_thread(self._change, create))[name]

    async def delete(self, name: str) -> None:
        """See `SecretPort.delete`."""
        checked_name(name)
        if (own_file := self._own_file(name)) is not None:
            await asyncio.to_thread(self._remove_apart, own_file)
            return

        def remove(secrets: dict[str, bytes]) -> None:
            secrets.pop(name, None)

        await asyncio.to_thread(self._change, remove)

    async def ssh_authority(self) -> str:
        """See `SecretPort.ssh_authority`; its key is a secret of this file."""
        return ssh_certificate.public_line(await self._ssh_seed())

    async def sign_ssh(self, public_key: str, principal: str, valid_s: int) -> str:
        """See `SecretPort.sign_ssh`."""
        now = int(time.time())
        window = (now - ssh_certificate.EARLIER_S, now + valid_s)
        return ssh_certificate.sign(await self._ssh_seed(), public_key, principal, window)

    async def _ssh_seed(self) -> bytes:
        def make() -> bytes:
            return os.urandom(ssh_certificate.SEED_BYTES)

        return await self.get_or_create("signing/ssh", make)

    async def mint(self, role: SecretRole) -> MintedSecret:
        """See `SecretPort.mint`; nothing is minted here."""
        del role
        raise RequestRefused(_NO_SOURCES)

    async def renew(self, lease: str) -> float:
        """See `SecretPort.renew`; nothing was minted here."""
        del lease
        raise RequestRefused(_NO_SOURCES)

    async def revoke(self, lease: str) -> None:
        """See `SecretPort.revoke`; nothing was minted here."""

    async def ping(self) -> None:
        """See `SecretPort.ping`."""
        with disk.faults(self._root):
            self._read()

    async def close(self) -> None:
        """Nothing is held open between calls."""

    def _own_file(self, name: str) -> Path | None:
        """Return the file of a secret that has one, which does not show the name."""
        if name.count("/") < _OWN_FILE_PARTS - 1:
            return None
        return self._apart / sha256(name.encode()).hexdigest()

    def _read_apart(self, file: Path) -> bytes | None:
        try:
            sealed = _read_private(file)
        except FileNotFoundError:
            if not self._root.is_dir():
                raise
            return None
        return self._opened(file, sealed)

    def _write_apart(self, file: Path, value: bytes) -> None:
        with disk.faults(self._root), self._locked():
            self._replace_apart(file, value)

    def _create_apart(self, file: Path, name: str, make: Callable[[], bytes]) -> bytes:
        with disk.faults(self._root), self._locked():
            value = self._read_apart(file)
            if value is None:
                value = checked_value(name, make())
                self._replace_apart(file, value)
        return value

    def _remove_apart(self, file: Path) -> None:
        with disk.faults(self._root), self._locked():
            file.unlink(missing_ok=True)

    def _replace_apart(self, file: Path, value: bytes) -> None:
        disk.private_directory(self._apart)
        disk.replace(file, self._fernet.encrypt(value), sync=True)

    def _opened(self, file: Path, sealed: bytes) -> bytes:
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise _damaged(file) from None

    def _change(self, change: Callable[[dict[str, bytes]], None]) -> dict[str, bytes]:
        with disk.faults(self._root), self._locked():
            before = self._read()
            after = dict(before)
            change(after)
            if after != before:
                sealed = self._fernet.encrypt(msgspec.msgpack.encode(after))
                # Losing these few bytes in a power cut would lock every user out, so they are
                # synced, unlike blobs and jobs; they change a handful of times in years.
                disk.replace(self._file, sealed, sync=True)
        return after

    def _read(self) -> dict[str, bytes]:
        try:
            sealed = _read_private(self._file)
        except FileNotFoundError:
            if not self._root.is_dir():
                raise
            return {}
        try:
            secrets = self._opened(self._file, sealed)
            return msgspec.msgpack.decode(secrets, type=dict[str, bytes])
        except msgspec.DecodeError:
            raise _damaged(self._file) from None

    def _stored_key(self) -> bytes:
        file = self._root / "master.key"
        try:
            return _read_private(file).strip()
        except FileNotFoundError:
            if self._file.exists():
                message = (
                    f"{file} is missing, and {self._file} cannot be read without it; "
                    "restore it from a copy, or give the server the master key."
                )
                raise Unavailable(message) from None
        key = Fernet.generate_key()
        disk.replace(file, key + b"\n", sync=True)
        return key

    def _cipher(self, key: bytes) -> Fernet:
        try:
            return Fernet(key)
        except ValueError:
            message = (
                f"The master key of {self._root} is not valid: it must be 32 bytes in URL-safe "
                "base64, as cryptography.fernet.Fernet.generate_key() makes them."
            )
            raise Unavailable(message) from None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock for writing; it ends with the process that holds it."""
        if sys.platform == "win32":
            raise Unavailable("Secrets in a file need Linux or macOS; run the server there.")
        opened = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT, disk.PRIVATE_FILE)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield
        finally:
            os.close(opened)


def _damaged(file: Path) -> Unavailable:
    return Unavailable(
        f"{file} was written with another master key or is damaged; "
        "give the server the right key, or restore the file from a copy."
    )


def _read_private(path: Path) -> bytes:
    with path.open("rb") as opened:
        # The mode of the opened file, as the path may name another file by now.
        _refuse_others(path, os.fstat(opened.fileno()).st_mode)
        return opened.read()


def _refuse_others(path: Path, mode: int) -> None:
    if mode & _OTHERS:
        message = f"Other users of this machine may use {path}; run: chmod go= {path}"
        raise Unavailable(message)
