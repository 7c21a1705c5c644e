"""What an administrator does in NATS: give queues that were made before more copies."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from picloud_model.errors import Unavailable

from picloud_driver.nats.api_refusal import ApiRefusal
from picloud_driver.nats.gateway import NatsGateway

if TYPE_CHECKING:
    from picloud_driver.nats.access import NatsAccess

_QUEUES: Final = "picloud.queue.>"
_COPIED_S: Final = 300.0
_PAUSE_S: Final = 0.2
_PROBE: Final = "picloud-replicas"


class NatsAdministrator:
    """A connection to NATS; `close` it."""

    def __init__(self, access: NatsAccess) -> None:
        self._replicas = access.replicas
        self._gateway = NatsGateway(access)

    async def close(self) -> None:
        """Close the connection."""
        await self._gateway.close()

    async def require_servers(self) -> None:
        """Return if there are as many servers as each queue is to have copies.

        Raises:
            Unavailable: When there are not, or when JetStream does not answer.
        """
        probe = {"name": _PROBE, "subjects": [_PROBE], "num_replicas": self._replicas}
        await self._api(f"STREAM.CREATE.{_PROBE}", probe | {"storage": "memory"})
        await self._api(f"STREAM.DELETE.{_PROBE}")

    async def fewer(self) -> list[str]:
        """Return the queues that have fewer copies than they are to have.

        Raises:
            Unavailable: When JetStream does not answer.
        """
        return [config["name"] async for config in self._below()]

    async def replicate(self) -> None:
        """Give all queues as many copies as they are to have.

        Raises:
            Unavailable: When JetStream refuses it, does not answer, or takes too long.
        """
        async for config in self._below():
            changed = config | {"num_replicas": self._replicas}
            await self._api(f"STREAM.UPDATE.{config['name']}", changed)
            await self._until_copied(config["name"])

    async def _until_copied(self, stream: str) -> None:
        end = time.monotonic() + _COPIED_S
        while time.monotonic() < end:
            info = await self._api(f"STREAM.INFO.{stream}")
            copies = info["cluster"].get("replicas") or []
            if len(copies) == self._replicas - 1 and all(each["current"] for each in copies):
                return
            await asyncio.sleep(_PAUSE_S)
        raise Unavailable(
            f"{self._gateway.where}: {stream} was not copied within {_COPIED_S:.0f} s; look at the "
            "logs of its servers, and repeat this."
        )

    async def _below(self) -> Any:
        offset = 0
        while True:
            page = await self._api("STREAM.LIST", {"subject": _QUEUES, "offset": offset})
            streams = page.get("streams") or []
            for stream in streams:
                if stream["config"]["num_replicas"] < self._replicas:
                    yield stream["config"]
            offset += len(streams)
            if not streams or offset >= page["total"]:
                return

    async def _api(self, operation: str, body: Any = None) -> dict[str, Any]:
        try:
            return await self._gateway.api(operation, body)
        except ApiRefusal as refusal:
            raise self._gateway.refusal(refusal, refusal.code) from refusal
