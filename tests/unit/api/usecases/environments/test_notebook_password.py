"""Second passwords: what is stored of one, and what it is compared with."""

from __future__ import annotations

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from picloud_api.usecases.accounts.people.password import Passwords
from picloud_api.usecases.environments.notebook_password import NotebookPasswords

PASSWORD = "two words for us"


async def test_what_is_stored_is_a_salted_argon2_hash() -> None:
    """It has its parameters with it, and two of the same password differ."""
    passwords = NotebookPasswords(Passwords(None))
    one, other = [await passwords.hash(PASSWORD) for _ in range(2)]

    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other
    assert await passwords.is_right(one, PASSWORD)
    assert await passwords.is_right(other, PASSWORD)
    assert not await passwords.is_right(one, PASSWORD.title())


async def test_hashes_of_earlier_versions_are_right_as_well() -> None:
    """JupyterLab made them, with other parameters and a prefix."""
    kdf = Argon2id(salt=b"0" * 16, length=32, iterations=1, lanes=2, memory_cost=64)
    stored = f"argon2:{kdf.derive_phc_encoded(PASSWORD.encode())}"

    assert await NotebookPasswords(Passwords(None)).is_right(stored, PASSWORD)
    assert not await NotebookPasswords(Passwords(None)).is_right(stored, "")


async def test_nothing_is_the_password_of_a_notebook_without_one() -> None:
    """Not even the empty one, nor is there one for a hash that cannot be read."""
    passwords = NotebookPasswords(Passwords(None))

    assert not await passwords.is_right(None, "")
    assert not await passwords.is_right("argon2:$argon2id$x", "x")
