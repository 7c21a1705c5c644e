"""Submitting: from a function and its arguments to the jids of a batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from picloud_model import wire
from picloud_model.wire import Content

from cloud._jobs.pack_parts import pack_parts
from cloud._packing import PackingError, size_report
from cloud._resources.blob import REQUEST_BYTES
from cloud.errors import BlobsLacking, CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from picloud_model.pack import Envelope

    from cloud._config.configuration import Config
    from cloud._http.transport import Transport
    from cloud._jobs.options import CallOptions
    from cloud._jobs.pack_parts import PackedPart
    from cloud._packing import Bundle, PackedFunction, Packer
    from cloud._resources.blob import BlobClient

INLINE_FUNCTION_BYTES: Final = 16 * 1024
"""Functions up to this size travel in the request, larger ones as blobs, once."""
_SHARED_BYTES: Final = 64 * 1024
"""Arguments from this size on are not pickled again where a map repeats the same objects."""
_PART_BYTES: Final = 128


def random_id() -> str:
    """A submit id nobody else has: 128 random bits in hex."""
    return os.urandom(16).hex()


class Submitter:
    """Makes batches on the server.

    A submit id is made once a batch and every request that may have been lost is repeated with the
    same bytes, so that no job is ever made twice.
    """

    def __init__(
        self,
        transport: Transport,
        blobs: BlobClient,
        packer: Packer,
        config: Config,
        make_id: Callable[[], str] = random_id,
    ) -> None:
        self._transport = transport
        self._blobs = blobs
        self._packer = packer
        self._config = config
        self._make_id = make_id

    def call(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        chosen: CallOptions,
    ) -> int:
        """Make one job; returns its jid."""
        self._log("call", func, args, kwargs)
        draft = _Draft("call", self._function(func), chosen, self._make_id())
        parcel = self._arguments(draft, args, kwargs, "The arguments are")
        return self._batch(draft, [parcel]).start

    def map(
        self,
        func: Callable[..., Any],
        iterables: Sequence[Iterable[Any]],
        kwargs: dict[str, Any],
        chosen: CallOptions,
    ) -> range:
        """Make one job for each item of the iterables; returns their jids."""
        self._log("map", func, iterables, kwargs)
        draft = _Draft("map", self._function(func), chosen, self._make_id())
        return self._batch(draft, self._parcels(draft, iterables, kwargs))

    def _log(
        self, kind: str, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> None:
        """Write the serialization log, if it is asked for."""
        if self._config.serialize_logging and callable(func):
            # A generator among the iterables is not logged: looking would use it up.
            seen = [each for each in args if not isinstance(each, Iterator)]
            size_report.write(str(self._config.serialize_logging_path), kind, func, seen, kwargs)

    def _function(self, func: Callable[..., Any]) -> PackedFunction:
        if not callable(func):
            raise CloudException(f"The first argument must be a function, not {func!r:.80}.")
        try:
            packed = self._packer.function(func)
        except PackingError as error:
            raise CloudException(str(error)) from error.__cause__
        self._checked(packed.parcel, f"The function {packed.name} is")
        return packed

    def _arguments(
        self, draft: _Draft, args: tuple[Any, ...], kwargs: dict[str, Any], what: str
    ) -> bytes:
        try:
            fast = draft.chosen.options.fast_serialization
            parcel = self._packer.arguments(args, kwargs, draft.modules, fast)
        except PackingError as error:
            raise CloudException(str(error)) from error.__cause__
        return self._checked(parcel, what)

    def _bundle(self, draft: _Draft) -> Bundle:
        try:
            return self._packer.bundle(draft.function, draft.modules)
        except PackingError as error:
            raise CloudException(str(error)) from error.__cause__

    def _checked(self, parcel: bytes, what: str) -> bytes:
        limit = self._config.max_transmit_data
        if len(parcel) > limit:
            raise CloudException(
                f"{what} {len(parcel):,} bytes pickled, and the limit is {limit:,}: raise "
                f"cloud.config.max_transmit_data (to {wire.MAX_ARGUMENT_BYTES:,} at most) "
                "or send less."
            )
        return parcel

    def _parcels(
        self, draft: _Draft, iterables: Sequence[Iterable[Any]], kwargs: dict[str, Any]
    ) -> Iterator[bytes]:
        # Between the items of a list no code of the user's runs that could change what they hold.
        steady = all(type(items) in (list, tuple) for items in iterables)
        before: tuple[Any, ...] = ()
        parcel = b""
        for index, args in enumerate(zip_longest(*iterables)):
            if index == wire.MAX_JOBS:
                raise CloudException(
                    f"A map makes {wire.MAX_JOBS:,} jobs at most; split the arguments."
                )
            shared = steady and len(parcel) >= _SHARED_BYTES and _same(args, before)
            if not shared:
                what = f"The arguments of item {index} are"
                parcel = self._arguments(draft, args, kwargs, what)
            before = args
            yield parcel

    def _batch(self, draft: _Draft, parcels: Iterable[bytes]) -> range:
        for made in pack_parts(parcels):
            draft.add(made)
            if draft.pending_bytes > REQUEST_BYTES:
                self._upload(draft)
            if draft.inline_bytes > REQUEST_BYTES:
                self._upload(draft)
                stage = wire.StageRequest(submit_id=draft.submit_id, parts=draft.parts)
                self._transport.post("/v1/jobs/staged", stage, wire.Answer)
                draft.begin_parts()
        if not draft.count:
            return range(0)
        self._upload(draft)
        bundle = self._bundle(draft)
        request = draft.request(self._packer.envelope, bundle)
        answer = self._submit(request, draft.sources(bundle))
        return range(answer.first, answer.first + answer.count)

    def _upload(self, draft: _Draft) -> None:
        if draft.pending:
            self._blobs.ensure(draft.pending, anew=True)
            draft.uploaded()

    def _submit(self, request: wire.SubmitRequest, sources: Mapping[str, bytes]) -> wire.Submitted:
        self._blobs.ensure(sources)
        data = wire.encode(request)
        try:
            return self._transport.send("/v1/jobs", data, wire.Submitted)
        except BlobsLacking:
            self._blobs.ensure(sources, anew=True)
            return self._transport.send("/v1/jobs", data, wire.Submitted)


class _Draft:
    """A batch while its arguments still come in."""

    def __init__(
        self, kind: Any, function: PackedFunction, chosen: CallOptions, submit_id: str
    ) -> None:
        self.submit_id = submit_id
        self.function = function
        self.chosen = chosen
        self.modules: set[str] = set()
        self.count = 0
        self.parts: list[wire.PackPart] = []
        self.inline_bytes = 0
        self.pending: dict[str, bytes] = {}
        self.pending_bytes = 0
        self._kind = kind
        self._sent: set[str] = set()

    def add(self, made: PackedPart) -> None:
        """Take one more part; the same blob waits for its upload once."""
        content = made.part.content
        self.count += made.part.count
        self.parts.append(made.part)
        self.inline_bytes += len(content.data or b"") + _PART_BYTES
        if made.blob is not None and content.digest not in self._sent:
            self._sent.add(content.digest)
            self.pending[content.digest] = made.blob
            self.pending_bytes += content.size

    def uploaded(self) -> None:
        """Let go of the blobs, which the server has now."""
        self.pending, self.pending_bytes = {}, 0

    def begin_parts(self) -> None:
        """Let go of the parts, which are staged now."""
        self.parts, self.inline_bytes = [], 0

    def request(self, envelope: Envelope, bundle: Bundle) -> wire.SubmitRequest:
        """What makes the batch."""
        function = self.function
        inline = len(function.parcel) <= INLINE_FUNCTION_BYTES
        return wire.SubmitRequest(
            submit_id=self.submit_id,
            kind=self._kind,
            count=self.count,
            envelope=envelope,
            function=Content(
                function.digest, len(function.parcel), function.parcel if inline else None
            ),
            function_name=function.name,
            bundle=bundle.digest,
            options=self.chosen.options,
            parts=self.parts,
            depends_on=list(self.chosen.depends_on),
            depends_on_errors=self.chosen.depends_on_errors,
        )

    def sources(self, bundle: Bundle) -> dict[str, bytes]:
        """The blobs the request names besides its arguments."""
        function = self.function
        found: dict[str, bytes] = dict(bundle.files)
        if bundle.digest:
            found[bundle.digest] = bundle.manifest
        if len(function.parcel) > INLINE_FUNCTION_BYTES:
            found[function.digest] = function.parcel
        return found


def _same(args: tuple[Any, ...], before: tuple[Any, ...]) -> bool:
    return len(args) == len(before) and all(
        one is other for one, other in zip(args, before, strict=True)
    )
