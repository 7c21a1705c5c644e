"""The limits of a transaction, checked before an adapter sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import TooLarge

from picloud_driver.state.port import Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.state.port import Operation


def refuse_too_large(operations: Sequence[Operation], most: int, most_bytes: int) -> None:
    """Refuse a transaction that is too large.

    Args:
        operations: The transaction.
        most: Most operations in it.
        most_bytes: Maximum number of bytes of values in it.

    Raises:
        TooLarge: When it is larger.

    >>> refuse_too_large([Put("key", b"four")], most=1, most_bytes=3)
    Traceback (most recent call last):
        ...
    picloud_model.errors.TooLarge: a transaction takes 3 bytes of values, not 4; split it
    """
    if len(operations) > most:
        raise TooLarge(f"a transaction takes {most} operations, not {len(operations)}; split it")
    size = sum([len(operation.value) for operation in operations if isinstance(operation, Put)])
    if size > most_bytes:
        raise TooLarge(f"a transaction takes {most_bytes} bytes of values, not {size}; split it")
