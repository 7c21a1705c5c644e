"""Streams: the values that jobs of an account yield."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire import stream as wire

if TYPE_CHECKING:
    from picloud_model.pack import Envelope

    from cloud._http.transport import Transport


class StreamClient:
    """Adds values to streams, and reads them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def append(
        self, envelope: Envelope, chunk: wire.StreamChunk | None = None, hold_s: float = 0.0
    ) -> int:
        """Add values to the stream of this job if there is room; return how many it has had."""
        body = wire.AppendStreamRequest(envelope=envelope, chunk=chunk, timeout_s=hold_s)
        return self._transport.poll("/v1/streams", body, wire.StreamAppended, hold_s).count

    def read(
        self, jid: int, start: int, reader: str, *, take: bool = False, hold_s: float = 0.0
    ) -> wire.StreamRead:
        """Return values of a stream from a position on; what comes before it is removed."""
        body = wire.ReadStreamRequest(
            jid=jid, start=start, reader=reader, take=take, timeout_s=hold_s
        )
        return self._transport.poll("/v1/streams/read", body, wire.StreamRead, hold_s)
