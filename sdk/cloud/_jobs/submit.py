"""Submitting: from a function and its arguments to the jids of a batch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace
from picloud_model import ranges, wire
from picloud_model.errors import AccountBusy
from picloud_model.pack import Pieces
from picloud_model.wire import Content

from cloud._arguments import signature_check
from cloud._arguments.iterables import check_ends, most_items, too_many
from cloud._arguments.jids import read_jids
from cloud._config.border import warn
from cloud._http.patience import Patience
from cloud._http.tracing import traced
from cloud._http.transport import send_hint
from cloud._jobs.pack_parts import pack_parts
from cloud._packing import size_report
from cloud._packing.errors import PackingError
from cloud._packing.unpicklable import named_parts, parts_of
from cloud._packing.values import Needs
from cloud._resources.blob import REQUEST_BYTES
from cloud.errors import BlobsLacking, CloudConnectionError, CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from picloud_model.pack import Envelope
    from picloud_model.ranges import Range

    from cloud._arguments.handles import Owner
    from cloud._arguments.options import CallOptions
    from cloud._config.configuration import Config
    from cloud._http.transport import Transport
    from cloud._jobs.pack_parts import PackedPart
    from cloud._packing.bundler import Bundle
    from cloud._packing.packer import PackedFunction, Packer
    from cloud._resources.blob import Blob, BlobClient

Body = TypeVar("Body")

AUTO: Final = "auto"
"""The name of the environment that has what is installed here."""
INLINE_FUNCTION_BYTES: Final = 16 * 1024
"""Functions up to this size are part of the request; larger ones are uploaded once as blobs."""
_SHARED_BYTES: Final = 64 * 1024
"""Arguments of at least this size are not pickled again when a map repeats the same objects."""
_PART_BYTES: Final = 128
_PENDING_BYTES: Final = 16 * 1024 * 1024
"""Bytes of large arguments that are sent together."""
_WARNED_EVERY_S: Final = 60.0
"""How often the user is warned of what the server says of submits."""


def random_id() -> str:
    """Return a unique submit id: 128 random bits in hex."""
    return os.urandom(16).hex()


class Submitter:
    """Creates batches on the server.

    Each batch has one submit id, and a request that may have been lost is repeated with the same
    bytes, so that no job is created twice.

    Args:
        transport: What carries requests.
        blobs: Uploads what is too large for a request.
        packer: Pickles functions and arguments.
        config: The limits.
        owner: The client, whose jobs may be arguments.
        make_id: Returns a new submit id.
        max_jobs: Maximum number of jobs of a map.
    """

    def __init__(
        self,
        transport: Transport,
        blobs: BlobClient,
        packer: Packer,
        config: Config,
        *,
        owner: Owner | None = None,
        make_id: Callable[[], str] = random_id,
        max_jobs: int = wire.MAX_JOBS,
    ) -> None:
        self._transport = transport
        self._blobs = blobs
        self._packer = packer
        self._config = config
        self._owner = owner
        self._make_id = make_id
        self._max_jobs = max_jobs
        self._auto = ""
        self._silent_until = 0.0

    @traced("cloud.call")
    def call(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> int:
        """Create one job; return its jid."""
        self._log("call", func, args, kwargs)
        self._check(func, args, kwargs)
        batch = _BatchBuilder("call", self._function(func), self._placed(options), self._make_id())
        parcel = self._arguments(batch, args, kwargs)
        return self._batch(batch, [parcel]).start

    def prepare(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> wire.SubmitRequest:
        """Return a request that creates one job; what it names has been uploaded."""
        self._log("call", func, args, kwargs)
        self._check(func, args, kwargs)
        batch = _BatchBuilder("call", self._function(func), self._placed(options), self._make_id())
        for packed in pack_parts([self._arguments(batch, args, kwargs)]):
            batch.add(packed)
        self._upload(batch)
        bundle = self._bundle(batch)
        self._blobs.ensure(batch.sources(bundle), anew=True)
        return batch.request(self._packer.envelope, bundle, self._dependencies(batch))

    @traced("cloud.map")
    def map(
        self,
        func: Callable[..., Any],
        iterables: Sequence[Iterable[Any]],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> range:
        """Create a job for each item of the iterables; return their jids."""
        self._log("map", func, iterables, kwargs)
        check_ends(iterables)
        self._check(func, iterables, kwargs)
        batch = _BatchBuilder("map", self._function(func), self._placed(options), self._make_id())
        return self._batch(batch, self._parcels(batch, iterables, kwargs))

    def _placed(self, options: CallOptions) -> CallOptions:
        """Return options that name the environment of the jobs, if they have one."""
        env = options.options.env or self._config.environment
        if env is None or env == options.options.env != AUTO:
            return options
        if env == AUTO:
            if not self._auto:
                from cloud._resources.auto_environment import prepare  # noqa: PLC0415 - few do

                self._auto = prepare(self._transport)
            env = self._auto
        return replace(options, options=replace(options.options, env=env))

    def _log(
        self, kind: str, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> None:
        """Write the serialization log if it is enabled."""
        if self._config.serialize_logging and callable(func):
            # A generator among the iterables is not logged: reading it would exhaust it.
            sized = [each for each in args if not isinstance(each, Iterator)]
            path = str(self._config.serialize_logging_path)
            file = size_report.write(path, kind, func, sized, kwargs)
            with suppress(PackingError):
                size_report.add_files(file, self._packer.function(func).bundle)

    def _check(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        signature_check.check_callable(func)
        signature_check.check(func, args, kwargs)

    def _function(self, func: Callable[..., Any]) -> PackedFunction:
        packed = self._packed(func)
        limit = self._config.max_transmit_data
        if (size := len(packed.parcel)) > limit:
            raise size_report.too_large(
                size, limit, f"The function {packed.name} is", parts_of(func)
            )
        return packed

    def _packed(self, func: Callable[..., Any]) -> PackedFunction:
        try:
            return self._packer.function(func)
        except PackingError as error:
            raise CloudException(str(error)) from error.__cause__

    def _arguments(
        self,
        batch: _BatchBuilder,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        item: int | None = None,
    ) -> bytes | Pieces:
        try:
            fast = batch.options.options.fast_serialization
            parcel = self._packer.arguments(args, kwargs, batch.needs, fast)
            if batch.options.reuse is not None:
                batch.options.reuse.note(args, kwargs)
        except PackingError as error:
            text = str(error)
            if item is not None:
                text = text.replace("the arguments", f"the arguments of item {item}", 1)
            raise CloudException(text) from error.__cause__
        sharing = batch.options.arrays
        limit = self._config.max_transmit_data if sharing is None else wire.MAX_ARGUMENT_BYTES
        if (size := len(parcel)) > limit:
            what = "The arguments are" if item is None else f"The arguments of item {item} are"
            raise size_report.too_large(size, limit, what, named_parts(args, kwargs))
        return self._blobs.seal(parcel) if isinstance(parcel, Pieces) else parcel

    def _bundle(self, batch: _BatchBuilder) -> Bundle:
        try:
            return self._packer.bundle(batch.function, batch.needs.modules)
        except PackingError as error:
            raise CloudException(str(error)) from error.__cause__

    def _dependencies(self, batch: _BatchBuilder) -> list[Range]:
        """Return the jobs that a batch waits for: those of its options, and those of its values."""
        named = batch.options.depends_on
        if not batch.needs.jobs:
            return list(named)
        values = read_jids(batch.needs.jobs, self._owner).order
        return ranges.merged([*named, *ranges.collapse(values)])

    def _parcels(
        self, batch: _BatchBuilder, iterables: Sequence[Iterable[Any]], kwargs: dict[str, Any]
    ) -> Iterator[bytes | Pieces]:
        # Reading a list runs no code of the user's that could change the objects in it.
        steady = all(type(items) in (list, tuple) for items in iterables)
        steady = steady and batch.options.reuse is None  # which takes note of each item
        before: tuple[Any, ...] = ()
        parcel: bytes | Pieces = b""
        most = most_items(iterables, self._max_jobs)
        for index, args in enumerate(zip_longest(*iterables)):
            if index == most:
                raise too_many(iterables, index, self._max_jobs)
            shared = steady and len(parcel) >= _SHARED_BYTES and _same(args, before)
            if not shared:
                parcel = self._arguments(batch, args, kwargs, index)
            before = args
            yield parcel

    def _batch(self, batch: _BatchBuilder, parcels: Iterable[bytes | Pieces]) -> range:
        for packed in pack_parts(parcels):
            batch.add(packed)
            if batch.pending_bytes > _PENDING_BYTES:
                self._upload(batch)
            if batch.inline_bytes > REQUEST_BYTES:
                self._upload(batch)
                stage = wire.StageRequest(batch.submit_id, batch.parts, batch.jobs)
                send_hint(self._stage, stage, "jobs")
                batch.drop_parts()
        if not batch.count:
            return range(0)
        if (sharing := batch.options.arrays) is not None:
            batch.function = sharing.packed(self._packed) or batch.function
        self._upload(batch)
        bundle = self._bundle(batch)
        request = batch.request(self._packer.envelope, bundle, self._dependencies(batch))
        answer = self._submit(request, batch.sources(bundle), batch.jobs)
        if answer.notice:
            self._warn(answer.notice)
        return range(answer.first, answer.first + answer.count)

    def _upload(self, batch: _BatchBuilder) -> None:
        if batch.pending:
            self._blobs.ensure(batch.pending, anew=True, jobs=batch.jobs)
            batch.drop_pending()

    def _submit(
        self, request: wire.SubmitRequest, sources: Mapping[str, Blob], jobs: wire.PricedJobs
    ) -> wire.Submitted:
        self._blobs.ensure(sources, jobs=jobs)
        data = wire.encode(request)
        try:
            return self._send("/v1/jobs", data, wire.Submitted)
        except BlobsLacking:
            self._blobs.ensure(sources, anew=True)
            return self._send("/v1/jobs", data, wire.Submitted)

    def _stage(self, request: wire.StageRequest) -> wire.Answer:
        return self._send("/v1/jobs/staged", wire.encode(request), wire.Answer)

    def _warn(self, notice: str) -> None:
        """Warn the user of what the server says of a submit; not of each one in a loop."""
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _WARNED_EVERY_S
            warn(notice)

    def _send(self, path: str, data: bytes, kind: type[Body]) -> Body:
        """Send a request; while the account has too much at once, send it again."""
        patience = Patience(self._transport, self._config.patience_s, time.monotonic)
        while True:
            try:
                return self._transport.send(path, data, kind)
            except CloudConnectionError as error:
                if error.code != AccountBusy.code:
                    raise
                patience.bear(error)


class _BatchBuilder:
    """A batch whose arguments are still being packed."""

    def __init__(
        self, kind: Any, function: PackedFunction, options: CallOptions, submit_id: str
    ) -> None:
        self.submit_id = submit_id
        self.function = function
        self.options = options
        arrays = None if options.arrays is None else options.arrays.reduced
        self.needs = Needs(jobs_as_values=options.jobs_as_values, arrays=arrays)
        self.count = 0
        self.parts: list[wire.PackPart] = []
        self.inline_bytes = 0
        self.pending: dict[str, Blob] = {}
        self.pending_bytes = 0
        self._kind = kind
        self._sent: set[str] = set()

    def add(self, packed: PackedPart) -> None:
        """Add a part; a blob that several parts share is uploaded once."""
        content = packed.part.content
        self.count += packed.part.count
        self.parts.append(packed.part)
        self.inline_bytes += len(content.data or b"") + _PART_BYTES
        if packed.blob is not None and content.digest not in self._sent:
            self._sent.add(content.digest)
            self.pending[content.digest] = packed.blob
            self.pending_bytes += content.size

    @property
    def jobs(self) -> wire.PricedJobs:
        """What decides whether a budget refuses the batch."""
        options = self.options.options
        return wire.PricedJobs(options.core_type, options.label)

    def drop_pending(self) -> None:
        """Forget the blobs, which have been uploaded."""
        self.pending, self.pending_bytes = {}, 0

    def drop_parts(self) -> None:
        """Forget the parts, which have been staged."""
        self.parts, self.inline_bytes = [], 0

    def request(
        self, envelope: Envelope, bundle: Bundle, depends_on: list[Range]
    ) -> wire.SubmitRequest:
        """Return the request that creates the batch."""
        function = self.function
        inline = len(function.parcel) <= INLINE_FUNCTION_BYTES
        reuse = self.options.reuse
        return wire.SubmitRequest(
            submit_id=self.submit_id,
            kind=self._kind,
            count=self.count,
            envelope=envelope,
            function=Content(
                function.digest, len(function.parcel), function.parcel if inline else None
            ),
            function_name=self.options.name or function.name,
            bundle=bundle.digest,
            options=self.options.options,
            parts=self.parts,
            depends_on=depends_on,
            depends_on_errors=self.options.depends_on_errors,
            reuse=reuse.request(bundle.digest, self.options.options) if reuse else None,
        )

    def sources(self, bundle: Bundle) -> dict[str, Blob]:
        """Return the blobs that the request names, other than those of its arguments."""
        function = self.function
        sources: dict[str, Blob] = dict(bundle.files)
        if bundle.digest:
            sources[bundle.digest] = bundle.manifest
        if len(function.parcel) > INLINE_FUNCTION_BYTES:
            sources[function.digest] = function.parcel
        return sources


def _same(args: tuple[Any, ...], before: tuple[Any, ...]) -> bool:
    return len(args) == len(before) and all(
        one is other for one, other in zip(args, before, strict=True)
    )
