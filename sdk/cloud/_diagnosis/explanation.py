"""`cloud.explain`: what a call would send, and what its job expects to find where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model import wire
from picloud_pickle import pickled

from cloud._arguments import signature_check
from cloud._arguments.options import split_options
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._diagnosis.installed import PYTHON, versions_of
from cloud._packing import size_report
from cloud._packing.bundler import Bundle
from cloud._packing.errors import PackingError
from cloud._packing.import_scan import imported
from cloud._packing.module_source import ModuleKind, find, may_be_local
from cloud._packing.packer import name_of
from cloud._packing.pickler import ScanningPickler
from cloud._packing.unpicklable import FAILURES
from cloud._packing.values import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cloud._packing.packer import PackedFunction, Packer

_UNKNOWN: Final = "not installed"


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a call would send, and what its job expects to find. Its text is for people.

    `function_bytes` and `argument_bytes` are the sizes of their pickles, 0 if they cannot be sent;
    `problem` says then why, and is "" otherwise. `files` are your own modules that travel along, in
    bytes by their paths; `left_out` names what of them stays here, and why. `expected` are the
    installed distributions that the code imports, with their versions here; `missing` are modules
    that it imports and that do not exist here either. `parts` are lines of text: what weighs how
    much. `env` is the environment that the job would run in, or None.
    """

    function: str
    function_bytes: int
    argument_bytes: int
    problem: str
    files: Mapping[str, int]
    left_out: tuple[str, ...]
    expected: Mapping[str, str]
    missing: tuple[str, ...]
    parts: tuple[str, ...]
    env: str | None

    @property
    def total_bytes(self) -> int:
        """All that the call would send the first time, in bytes."""
        return self.function_bytes + self.argument_bytes + sum(self.files.values())

    def differences(self, timeout: float | None = 60) -> dict[str, tuple[str | None, str | None]]:
        """Return the versions that differ: here, and where the job would run.

        One job reads them there, in the environment of the call.

        Args:
            timeout: How many seconds to wait for it; None for no limit.

        Returns:
            The two versions by the name of the distribution, or "python"; None for one that is not
            installed.

        Raises:
            CloudTimeoutError: When the job does not end in time.

        >>> cloud.explain(sorted, [3, 1]).differences()
        {}
        """
        names = [PYTHON, *self.expected]
        options, _ = split_options({} if self.env is None else {"_env": self.env})
        job = client().submit_call(versions_of, (names,), {}, options)
        there = client().result(job, timeout)
        here = versions_of(names)
        return {name: (here[name], there[name]) for name in names if here[name] != there[name]}

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        yield f"call of {self.function}: {self.total_bytes:,} bytes"
        if self.problem:
            yield f"  {self.problem}"
        yield f"  function: {self.function_bytes:,} bytes, arguments: {self.argument_bytes:,} bytes"
        yield from self.parts
        where = "where it runs" if self.env is None else f"in the environment {self.env}"
        if self.expected:
            named = (f"{name} {version}" for name, version in self.expected.items())
            yield f"  expected {where}: {', '.join(named)}"
        if self.missing:
            yield f"  imported, but not found here: {', '.join(self.missing)}"


@of_users
def explain(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Explanation:
    """Return what `cloud.call` would send with these arguments, without sending anything.

    Args:
        func: The function.
        args: Its positional arguments.
        kwargs: Its keyword arguments, and options as for `cloud.call`.

    Returns:
        The explanation: print it. It says so if a part cannot be sent, instead of raising.

    Raises:
        CloudException: When an option is unknown or invalid.
        CloudTypeError: When the function does not take these arguments.

    >>> print(cloud.explain(sorted, "cab" * 1000))
    call of builtins.sorted: 3,074 bytes
      function: 42 bytes, arguments: 3,032 bytes
      argument 0: 3,018 bytes, str
      function: 34 bytes, builtin_function_or_method
    """
    options, kwargs = split_options(kwargs)
    signature_check.check_callable(func)
    signature_check.check(func, args, kwargs)
    packer = client().packer
    needs, problems = Needs(jobs_as_values=options.jobs_as_values), list[str]()
    packed = _packed(packer, func, problems)
    argument_bytes = 0
    bundle = Bundle()
    try:
        argument_bytes = len(packer.arguments(args, kwargs, needs))
        if packed is not None:
            bundle = packer.bundle(packed, needs.modules)
    except PackingError as error:
        problems.append(str(error))
    imports = _imports(func, (args, kwargs)) | needs.modules | _imports_of(bundle)
    expected, missing = _foreign(imports)
    return Explanation(
        function=name_of(func),
        function_bytes=len(packed.parcel) if packed else 0,
        argument_bytes=argument_bytes,
        problem=" ".join(problems),
        files=dict(bundle.sizes),
        left_out=bundle.left_out,
        expected=expected,
        missing=missing,
        parts=(*size_report.call_lines(func, args, kwargs), *size_report.file_lines(bundle)),
        env=options.options.env,
    )


def _packed(packer: Packer, func: Callable[..., Any], problems: list[str]) -> PackedFunction | None:
    try:
        return packer.function(func)
    except PackingError as error:
        problems.append(str(error))
        return None


def _imports(*values: object) -> set[str]:
    """Return the modules that pickles of values name, and that functions in them import."""
    names: set[str] = set()
    for value in values:
        pickler = ScanningPickler()
        with suppress(*FAILURES):  # what was met before the failure is known
            pickled(pickler, value)
        names |= pickler.modules
    return names


def _imports_of(bundle: Bundle) -> set[str]:
    """Return the modules that the modules of a bundle import."""
    names: set[str] = set()
    if not bundle.manifest:
        return names
    for module in wire.decode(bundle.manifest, wire.Manifest).modules:
        path = str(module.relative_path())
        if path.endswith(".py"):
            package = path.rpartition("/")[0].replace("/", ".")
            with suppress(SyntaxError, ValueError):  # broken code is sent like any other
                code = compile(bundle.files[module.digest], path, "exec", dont_inherit=True)
                names |= imported(code, package)
    return names


def _foreign(names: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the distributions that modules are from, with their versions, and missing modules."""
    by_module = metadata.packages_distributions()
    expected: dict[str, str] = {}
    missing: set[str] = set()
    for top in {name.partition(".")[0] for name in names if may_be_local(name)}:
        kind = find(top).kind
        if kind is ModuleKind.MISSING:
            missing.add(top)
        elif kind is ModuleKind.FOREIGN:
            for name in by_module.get(top, [top]):
                expected[name] = versions_of([name])[name] or _UNKNOWN
    return dict(sorted(expected.items())), tuple(sorted(missing))
