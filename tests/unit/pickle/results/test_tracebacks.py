"""Tracebacks show after the journey what they showed before it."""

from __future__ import annotations

import json
import linecache
import pickle
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest
from picloud_pickle.results import tracebacks
from picloud_pickle.results.code import CodeTrees

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def raised(function: Callable[..., Any], *args: Any) -> BaseException:
    """What a function raises, without the frame of this one."""
    try:
        function(*args)
    except BaseException as error:
        trace = error.__traceback__
        assert trace is not None
        return error.with_traceback(trace.tb_next)
    pytest.fail("it raised nothing")


def travelled(trace: TracebackType | None) -> TracebackType:
    """The traceback as it is on the other side."""
    assert trace is not None
    make, arguments = tracebacks.reduced(trace)
    found = make(*pickle.loads(pickle.dumps(arguments)))
    assert isinstance(found, TracebackType)
    return found


def shown(error: BaseException) -> str:
    """What a user sees of an exception."""
    return "".join(traceback.format_exception(error))


def divided(first: int, second: int) -> list[float]:
    """Fail in the second part of a line that is not the first of its statement."""
    return [
        float(first),
        float(first) + first / second + 1,
    ]


def in_letters_of_two_bytes() -> None:
    """Fail to the right of them."""
    _ = "äöü" + "ß" * len(None)  # type: ignore[arg-type]


def recursive(depth: int) -> float:
    """Fail far down."""
    return recursive(depth - 1) if depth else 1 / depth


def even(depth: int) -> float:
    """Fail far down, in turns with `odd`."""
    return odd(depth - 1) if depth else 1 / depth


def odd(depth: int) -> float:
    """The other one."""
    return even(depth - 1)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (divided, (1, 0)),
        (in_letters_of_two_bytes, ()),
        (recursive, (500,)),
        (lambda: [1 / x for x in range(3)], ()),
        (lambda: int("1" * 300 + "x"), ()),
    ],
)
def test_frames_carets_and_lines_are_the_same(
    function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    """Not one character differs, also where equal frames are counted."""
    error = raised(function, *args)
    before = shown(error)

    error.__traceback__ = travelled(error.__traceback__)

    assert shown(error) == before


def test_a_long_traceback_keeps_its_ends() -> None:
    """Of frames that differ the first and last fifty travel."""
    error = raised(even, 401)
    before = shown(error).splitlines()

    error.__traceback__ = travelled(error.__traceback__)

    after = shown(error).splitlines()
    assert after[:5] == before[:5]
    assert after[-5:] == before[-5:]
    assert len(pickle.dumps(tracebacks.reduced(error.__traceback__))) < 20_000


def test_lines_of_files_that_are_not_here_are_shown(tmp_path: Path) -> None:
    """The line of each frame travels, and `linecache` has it."""
    file = tmp_path / "gone.py"
    file.write_text("\n\ndef f():\n    return {}['missing']\n")
    scope: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    error = raised(scope["f"])
    data = pickle.dumps(tracebacks.reduced(error.__traceback__)[1])  # type: ignore[arg-type]
    file.unlink()
    linecache.clearcache()

    error.__traceback__ = tracebacks.rebuilt(*pickle.loads(data))

    assert f"File \"{file}\", line 4, in f\n    return {{}}['missing']" in shown(error)


def test_shipped_modules_are_named_by_their_origins(tmp_path: Path) -> None:
    """A file in a bundle's directory is named as the file that it was made of, and no other is."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".origins.json").write_text(
        json.dumps({"shapes": "/home/me/shapes", "lonely.py": "/home/me/lonely.py"})
    )
    trees = CodeTrees()
    trees.add("ab" * 32, str(tree))

    assert trees.shown_path(f"{tree}/shapes/area.py") == "/home/me/shapes/area.py"
    assert trees.shown_path(f"{tree}/lonely.py") == "/home/me/lonely.py"
    assert trees.shown_path(f"{tree}/shapeshift.py") == f"{tree}/shapeshift.py"
    assert trees.shown_path("/usr/lib/shapes/area.py") == "/usr/lib/shapes/area.py"
    assert trees.shown_text(f'File "{tree}/shapes/a.py", line 1') == (
        'File "/home/me/shapes/a.py", line 1'
    )


def test_the_frames_have_the_names_of_their_modules() -> None:
    """Loggers and debuggers read them."""
    trace = travelled(raised(recursive, 0).__traceback__)

    assert trace.tb_frame.f_globals["__name__"] == __name__
    assert trace.tb_frame.f_code.co_name == "recursive"
