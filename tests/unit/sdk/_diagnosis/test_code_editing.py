"""Code that is edited before a replay; `tests/e2e/test_replay.py` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException
from cloud._diagnosis.code_editing import CodeEditing, edited_bundle
from picloud_model import wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def replaces(before: str, after: str) -> CodeEditing:
    """Have a text of each file that is opened replaced."""
    return CodeEditing(
        lambda file: file.write_text(file.read_text().replace(before, after)) and None
    )


def double(number: int) -> int:
    """Twice a number."""
    return number * 2


def copy_of(func: Callable[..., Any]) -> Any:
    """Return a function with the code of another, as unpickling makes one."""
    kind: Any = type(func)
    return kind(func.__code__, func.__globals__, func.__name__)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The modules of a job, as they are fetched."""
    tree = tmp_path / "tree"
    for name in ("alone.py", "pack/__init__.py", "pack/deep.py", "pack/table.csv"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"# {name}\n")
    (tree / wire.ORIGINS_FILE).write_text('{"alone.py": "/home/ann/alone.py"}')
    return tree


@pytest.mark.parametrize(
    ("function", "opened"),
    [
        ("alone.f", "alone.py"),
        ("pack.f", "pack/__init__.py"),
        ("pack.deep.Kind.method", "pack/deep.py"),
    ],
)
def test_the_module_of_the_function_is_opened(tree: Path, function: str, opened: str) -> None:
    """In a copy; nothing else is opened then."""
    files: list[Path] = []
    editing = CodeEditing(files.append)

    copies = editing.modules(tree, function)

    assert files == [copies / opened]
    assert copies != tree
    assert editing.function(abs) is abs
    assert len(files) == 1


def test_a_function_of_the_program_is_edited_alone(tree: Path) -> None:
    """Its body; modules that it is in none of are copied as they are."""
    editing, func = replaces("* 2", "* 3"), copy_of(double)

    copies = editing.modules(tree, "__main__.double")

    assert editing.function(func)(7) == 21
    assert double(7) == 14
    assert (copies / "alone.py").read_text() == "# alone.py\n"


@pytest.mark.parametrize("change", [("number * 2", "number *"), ("def double", "def triple")])
def test_what_is_no_such_function_is_refused(change: tuple[str, str]) -> None:
    """One sentence names the function."""
    with pytest.raises(CloudException, match="Cannot use what was saved as double: "):
        replaces(*change).function(copy_of(double))


def test_functions_without_a_source_are_refused() -> None:
    """Lambdas, functions within functions, those of C, and those whose file was edited since."""
    number = 7
    for func in (lambda: 1, lambda: number, pow):
        with pytest.raises(CloudException, match=r"Cannot edit .*: only functions with a name"):
            replaces("", "").function(func)
    func = copy_of(double)
    func.__code__ = func.__code__.replace(co_code=double.__code__.co_code[:-2] + b"\0\0")
    with pytest.raises(CloudException, match=r"test_code_editing\.py is not as it was"):
        replaces("", "").function(func)


def test_an_edited_bundle_is_a_bundle(tree: Path) -> None:
    """Sorted, with its origins; without what Python has compiled."""
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__" / "alone.pyc").write_bytes(b"")

    digest, blobs = edited_bundle(tree)

    manifest = wire.decode(blobs[digest], wire.Manifest)
    names = ["alone.py", "pack/__init__.py", "pack/deep.py", "pack/table.csv"]
    assert [module.path for module in manifest.modules] == names
    assert [blobs[module.digest].decode() for module in manifest.modules] == [
        f"# {name}\n" for name in names
    ]
    assert manifest.origins == {"alone.py": "/home/ann/alone.py"}
