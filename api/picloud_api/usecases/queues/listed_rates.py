"""The rates of the queues of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import QueueNotFound, missing_name
from picloud_model.wire.queue import QueueRatesListed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_api.usecases.queues.queue import Queues


class ListedRates:
    """Lists how fast messages come and go in the queues of an account."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def list(self, account: str, names: Sequence[str] = ()) -> QueueRatesListed:
        """Return the rates of all queues of an account, or of some.

        Raises:
            QueueNotFound: When one of them does not exist.
        """
        present = (await self._queues.list(account)).names
        for name in sorted({*names}.difference(present)):
            message = missing_name("queue", name, present, ": create it first.")
            raise QueueNotFound(message, field="names")
        chosen = sorted({*names}) or present
        return QueueRatesListed(rates=[self._queues.rates.of(account, name) for name in chosen])
