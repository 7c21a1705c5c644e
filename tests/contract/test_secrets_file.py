"""What the file adapter promises beyond the port: its key, its modes, damage to its files."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from picloud_driver.secret import SecretRole
from picloud_driver.secret.file import FileSecrets
from picloud_model.errors import RequestRefused, Unavailable

from tests.contract.full_disk import file_size_limit
from tests.contract.secret_adapters import VALUE


def contents(root: Path) -> bytes:
    """All bytes of all files in a directory."""
    return b"".join(path.read_bytes() for path in root.iterdir())


def modes(root: Path) -> dict[str, str]:
    """The modes of a directory and of the files in it."""
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (root, *root.iterdir())}


async def test_files_are_the_servers_own(tmp_path: Path) -> None:
    """The directory has mode 0700 and each file in it 0600, whatever the umask."""
    before = os.umask(0)
    try:
        secrets = FileSecrets(tmp_path / "own")
        await secrets.put("a", VALUE)
    finally:
        os.umask(before)

    assert modes(tmp_path / "own") == {
        "own": "0o700",
        "lock": "0o600",
        "master.key": "0o600",
        "secrets": "0o600",
    }


async def test_the_file_shows_neither_value_nor_name(tmp_path: Path) -> None:
    """On disk there is nothing of a secret in the clear."""
    await FileSecrets(tmp_path).put("signing/pepper", VALUE)

    assert VALUE not in contents(tmp_path)
    assert b"pepper" not in contents(tmp_path)


async def test_secrets_of_users_have_files_of_their_own(tmp_path: Path) -> None:
    """The file that the server reads often does not grow with them; theirs are as private."""
    secrets = FileSecrets(tmp_path)
    await secrets.put("users/a0000001/db", VALUE)

    (file,) = (tmp_path / "apart").iterdir()
    assert not (tmp_path / "secrets").exists()
    assert modes(tmp_path / "apart") == {"apart": "0o700", file.name: "0o600"}
    assert VALUE not in file.read_bytes()
    file.write_bytes(b"damaged")
    with pytest.raises(Unavailable, match="another master key or is damaged"):
        await secrets.get("users/a0000001/db")


async def test_a_given_key_is_not_kept(tmp_path: Path) -> None:
    """With a master key of the caller's no key file is made, and only that key opens the file."""
    key = Fernet.generate_key()
    await FileSecrets(tmp_path, master_key=key).put("a", VALUE)

    assert key not in contents(tmp_path)
    assert not (tmp_path / "master.key").exists()
    assert await FileSecrets(tmp_path, master_key=key).get("a") == VALUE
    with pytest.raises(Unavailable, match="another master key"):
        FileSecrets(tmp_path, master_key=Fernet.generate_key())
    with pytest.raises(Unavailable, match=r"master\.key is missing"):
        FileSecrets(tmp_path)


@pytest.mark.parametrize("key", [b"short", b"\xff" * 44, b"=" * 44])
def test_a_malformed_key_is_refused(tmp_path: Path, key: bytes) -> None:
    """An invalid key is refused by a sentence that says what keys look like, but not the key."""
    with pytest.raises(Unavailable, match="URL-safe base64") as refused:
        FileSecrets(tmp_path, master_key=key)

    assert repr(key)[2:-1] not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
@pytest.mark.parametrize("name", ["secrets", "master.key"])
async def test_files_open_to_others_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    """A secrets or key file that others may use stops the server, with the command to mend it."""
    await FileSecrets(tmp_path).put("a", VALUE)
    (tmp_path / name).chmod(mode)

    with pytest.raises(Unavailable, match=f"chmod go= .*/{name}$"):
        FileSecrets(tmp_path)


def test_a_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    """So does a directory in which others could put files of theirs."""
    (tmp_path / "open").mkdir(mode=0o755)

    with pytest.raises(Unavailable, match=r"chmod go= .*/open$"):
        FileSecrets(tmp_path / "open")


@pytest.mark.parametrize("damage", [b"", b"garbage", b"gAAAAAB"])
async def test_a_damaged_file_is_refused(tmp_path: Path, damage: bytes) -> None:
    """A file that does not decrypt is refused at once and never overwritten."""
    opened = FileSecrets(tmp_path)
    await opened.put("a", VALUE)
    (tmp_path / "secrets").write_bytes(damage)

    with pytest.raises(Unavailable, match="is damaged"):
        await opened.get_or_create("a", lambda: b"new")
    with pytest.raises(Unavailable, match="is damaged"):
        FileSecrets(tmp_path)

    assert (tmp_path / "secrets").read_bytes() == damage


async def test_a_failed_write_keeps_the_old_secrets(tmp_path: Path) -> None:
    """When the new file cannot be written, the old one stays and no other is left."""
    secrets = FileSecrets(tmp_path)
    await secrets.put("a", VALUE)

    with file_size_limit(100), pytest.raises(Unavailable, match="raise the server's file"):
        await secrets.put("b", bytes(1000))

    assert (await secrets.get("a"), await secrets.get("b")) == (VALUE, None)
    assert sorted(modes(tmp_path)) == sorted([tmp_path.name, "lock", "master.key", "secrets"])


async def test_nothing_is_minted(tmp_path: Path) -> None:
    """A sentence says that this needs Vault; nothing was minted, so that nothing is revoked."""
    secrets = FileSecrets(tmp_path)

    with pytest.raises(RequestRefused, match="with Vault only, which this server does not have"):
        await secrets.mint(SecretRole("database/creds", "reports"))
    with pytest.raises(RequestRefused, match="with Vault only"):
        await secrets.renew("database/creds/reports/1")
    await secrets.revoke("database/creds/reports/1")
