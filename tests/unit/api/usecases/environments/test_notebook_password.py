"""Second passwords: what is stored of one, and what it is compared with."""

from __future__ import annotations

from picloud_api.usecases.environments.notebook_password import NotebookPasswords

PASSWORD = "two words for us"


async def test_what_is_stored_is_a_salted_argon2_hash() -> None:
    """It has its parameters with it, and two of the same password differ."""
    passwords = NotebookPasswords()
    one, other = [await passwords.hash(PASSWORD) for _ in range(2)]

    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other
    assert await passwords.is_right(one, PASSWORD)
    assert await passwords.is_right(other, PASSWORD)
    assert not await passwords.is_right(one, PASSWORD.title())


async def test_hashes_of_earlier_versions_are_right_as_well() -> None:
    """JupyterLab made them, with other parameters and a prefix."""
    from argon2 import PasswordHasher

    stored = f"argon2:{PasswordHasher(time_cost=1, memory_cost=64, parallelism=2).hash(PASSWORD)}"

    assert await NotebookPasswords().is_right(stored, PASSWORD)
    assert not await NotebookPasswords().is_right(stored, "")


async def test_nothing_is_the_password_of_a_notebook_without_one() -> None:
    """Not even the empty one, nor is there one for a hash that cannot be read."""
    passwords = NotebookPasswords()

    assert not await passwords.is_right(None, "")
    assert not await passwords.is_right("argon2:$argon2id$x", "x")
