"""Runs a job again: here, with its function, arguments and modules, or as a new job."""

from __future__ import annotations

import os
import sys
import traceback
import types
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from picloud_model import wire
from picloud_model.wire import Content, Options
from picloud_pickle import reference
from picloud_pickle.patches.applied import AppliedPatches
from picloud_pickle.results import code

from cloud._config.settings import set_variables
from cloud._diagnosis.code_editing import edited_bundle
from cloud._jobs.pack_parts import pack_parts
from cloud._jobs.submit import INLINE_FUNCTION_BYTES, random_id
from cloud._packing.bundle_tree import fetched
from cloud._packing.errors import PackingError
from cloud.errors import CloudException, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client
    from cloud._diagnosis.code_editing import CodeEditing
    from cloud._resources.blob import Blob


class Replay:
    """A job that is ready to be run in this process, which it takes over: one job a process.

    Args:
        client: The client that the job is read with.
        jid: The job.
        editing: Has its code edited first; None to run it as it was sent.

    Attributes:
        inputs: What the job ran with.
        function: Its function.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        tree: The directory of its modules; None without any.
        differences: What is not as it was in the job, in a sentence each.

    Raises:
        CloudException: When its modules, function or arguments cannot be read here: another Python
            pickled them, or a package is missing.
    """

    def __init__(self, client: Client, jid: int, editing: CodeEditing | None = None) -> None:
        self.inputs = inputs = client.inputs(jid)
        self.tree: Path | None = None
        options = inputs.attributes
        self.differences = tuple(_differences(options))
        sys.modules["__main__"] = types.ModuleType("__main__")
        names: dict[str, Any] = {}
        patches: list[Any] = []
        reference.collect(names, {}, patches)
        try:
            if inputs.bundle:
                self.tree = fetched(inputs.bundle, client.blobs.fetch)
                if editing is not None:
                    self.tree = editing.modules(self.tree, inputs.attributes["function"])
                sys.path.insert(0, str(self.tree))
                code.TREES.add(inputs.bundle, str(self.tree))
            read = client.packer.result
            self.function: Callable[..., Any] = read(inputs.function, inputs.envelope, "function")
            self.args, self.kwargs = read(inputs.arguments, inputs.envelope, "arguments")
        except PackingError as error:
            raise CloudException(str(error), jid) from error.__cause__
        vars(sys.modules["__main__"]).update(names)
        if editing is not None:
            self.function = editing.function(self.function)
        AppliedPatches().make(patches)
        set_variables(options.get("os_env_vars") or {})
        with suppress(OSError):  # `differences` says so
            os.chdir(options.get("cwd") or ".")

    def run(self) -> Any:
        """Call the function with the arguments and return what it returns.

        Raises:
            BaseException: What the function raises.
        """
        value = self.function(*self.args, **self.kwargs)
        if type(value) in (types.CoroutineType, types.AsyncGeneratorType):
            import asyncio  # noqa: PLC0415 - few jobs are asynchronous

            return asyncio.run(_items(value) if hasattr(value, "__anext__") else value)
        return value

    def trace_of(self, error: BaseException) -> str:
        """Return the traceback of what `run` raised, from the job's own frames on.

        Files of modules that travelled are named as where they were sent from.
        """
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code is not Replay.run.__code__:
            trace = trace.tb_next
        trace = trace.tb_next if trace is not None else error.__traceback__
        if isinstance(error, CommandFailed):  # its frames are ours
            trace = None
        lines = traceback.format_exception(type(error), error, trace)
        return code.TREES.shown_text("".join(lines)).rstrip()


def _differences(options: dict[str, Any]) -> Iterator[str]:
    """Name the options of a job that have no effect here."""
    if options.get("env"):
        yield (
            f"it ran in the environment {options['env']!r}, here it uses the packages of "
            f"{sys.prefix}"
        )
    if options.get("vols"):
        yield f"its volumes {', '.join(options['vols'])} are not mounted here"
    if options.get("secrets"):
        yield f"the values of its secrets {', '.join(options['secrets'])} are not set here"
    if options.get("seed") is not None:
        yield "its random numbers came from _seed, here they do not"
    if options.get("cwd") and not Path(options["cwd"]).is_dir():
        yield f"it ran in {options['cwd']}, which is not a directory here"


async def _items(generator: Any) -> list[Any]:
    return [item async for item in generator]


def submit_again(client: Client, jid: int, edited: Replay | None = None) -> int:
    """Create a job with the function, arguments, modules and options of another; return its jid.

    It depends on no job.

    Args:
        client: The client that the job is read and submitted with.
        jid: The job.
        edited: Has the function and the modules of the new job, if these were edited.

    Raises:
        CloudException: When the server no longer has what the job ran with, or the edited function
            cannot be pickled.
    """
    inputs = client.inputs(jid)
    attributes = dict(inputs.attributes)
    name = attributes.pop("function")
    del attributes["kind"]
    function, bundle = inputs.function, inputs.bundle
    sources: dict[str, Blob] = {}
    if edited is not None:
        try:
            function = client.packer.function(edited.function).parcel
        except PackingError as error:
            raise CloudException(str(error), jid) from error.__cause__
        if edited.tree is not None:
            bundle, files = edited_bundle(edited.tree)
            sources.update(files)
    (packed,) = pack_parts([inputs.arguments])
    digest, size = sha256(function).hexdigest(), len(function)
    inline = size <= INLINE_FUNCTION_BYTES
    if not inline:
        sources[digest] = function
    if packed.blob is not None and packed.part.content.digest:
        sources[packed.part.content.digest] = packed.blob
    client.blobs.ensure(sources, anew=True)
    request = wire.SubmitRequest(
        submit_id=random_id(),
        kind="call",
        count=1,
        envelope=inputs.envelope,
        function=Content(digest, size, function if inline else None),
        function_name=name,
        bundle=bundle,
        options=msgspec.convert(attributes, Options),
        parts=[packed.part],
    )
    return client.transport.post("/v1/jobs", request, wire.Submitted).first
