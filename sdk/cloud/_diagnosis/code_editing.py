"""The code of a job in copies that its user edits before the job runs again."""

from __future__ import annotations

import atexit
import inspect
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model import wire

from cloud._packing.packer import name_of
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable

_COMPILED: Final = "__pycache__"


class CodeEditing:
    """Lets a user edit copies of a job's code; they are removed when this process ends.

    Args:
        open_editor: Opens a file in an editor, and returns when the user has closed it.
    """

    def __init__(self, open_editor: Callable[[Path], None]) -> None:
        self._open_editor = open_editor
        self._folder = Path(tempfile.mkdtemp(prefix="picloud-edit-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self._is_edited = False

    def modules(self, tree: Path, name: str) -> Path:
        """Copy the modules of a job; have the one that its function is in edited.

        Args:
            tree: Their directory.
            name: The name of the function, after that of its module.

        Returns:
            The directory of the copies.
        """
        copies = self._folder / "modules"
        shutil.copytree(tree, copies, ignore=shutil.ignore_patterns(_COMPILED))
        parts = name.split(".")
        for depth in range(len(parts) - 1, 0, -1):
            path = copies.joinpath(*parts[:depth])
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file():
                    self._open_editor(file)
                    self._is_edited = True
                    return copies
        return copies

    def function(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Have a function edited that is in none of the modules: one of the main program.

        Only its body counts: names, defaults and decorators stay.

        Raises:
            CloudException: When its source is not here, or what was saved is not such a function.
        """
        if self._is_edited:
            return func
        name = name_of(func).rpartition(".")[2]
        if not isinstance(func, FunctionType) or func.__closure__ or name == "lambda":
            raise CloudException(
                f"Cannot edit {name}: only functions with a name and without variables of an "
                "enclosing function can be edited; edit your program and call it again."
            )
        try:
            lines, first = inspect.getsourcelines(func)
            with Path(func.__code__.co_filename).open(encoding="utf-8") as file_of_program:
                program = list(file_of_program)
            is_same = _body(program, func) == func.__code__
        except (OSError, SyntaxError, LookupError, ValueError):
            is_same = False
        if not is_same:
            raise CloudException(
                f"Cannot edit {name}: {func.__code__.co_filename} is not as it was when the job "
                "was sent; edit your program and call it again."
            )
        file = self._folder / f"{name}.py"
        file.write_text("".join(lines), encoding="utf-8")
        self._open_editor(file)
        saved = file.read_text(encoding="utf-8")
        program[first - 1 : first - 1 + len(lines)] = [
            saved if saved.endswith("\n") else f"{saved}\n"
        ]
        try:
            func.__code__ = _body(program, func)
        except (SyntaxError, LookupError, ValueError) as error:
            raise CloudException(f"Cannot use what was saved as {name}: {error!s}.") from error
        return func


def _body(program: list[str], func: FunctionType) -> CodeType:
    """Compile a program, as the code of a function depends on its imports; return that code.

    Raises:
        SyntaxError: When it does not compile.
        LookupError: When it has no such function where that was.
    """
    code = func.__code__
    place = code.co_qualname, code.co_firstlineno
    found = [compile("".join(program), code.co_filename, "exec", dont_inherit=True)]
    for each in found:  # it grows meanwhile
        if (each.co_qualname, each.co_firstlineno) == place:
            return each
        found += [inner for inner in each.co_consts if isinstance(inner, CodeType)]
    raise LookupError(f"there is no function {func.__name__}")


def edited_bundle(tree: Path) -> tuple[str, dict[str, bytes]]:
    """Return the digest of a bundle of the modules in a directory, and what it is made of.

    Args:
        tree: A directory as `fetched` makes it.

    Returns:
        The digest, and the manifest and the files by their digests.
    """
    origins = msgspec.json.decode((tree / wire.ORIGINS_FILE).read_bytes(), type=dict[str, str])
    blobs: dict[str, bytes] = {}
    modules: list[wire.Module] = []
    for file in sorted(path for path in tree.rglob("*") if path.is_file()):
        path = file.relative_to(tree)
        if path.name == wire.ORIGINS_FILE or _COMPILED in path.parts:
            continue
        content = file.read_bytes()
        digest = sha256(content).hexdigest()
        blobs[digest] = content
        modules.append(wire.Module(path.as_posix(), digest))
    manifest = wire.encode(wire.Manifest(sorted(modules, key=lambda each: each.path), origins))
    bundle = sha256(manifest).hexdigest()
    blobs[bundle] = manifest
    return bundle, blobs
