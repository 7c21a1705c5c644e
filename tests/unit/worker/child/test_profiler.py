"""A profile shows where the time of a function went, however the function ended."""

from __future__ import annotations

import pytest
from picloud_worker.child.profiler import MOST_CALLS, MOST_CHARACTERS, Profiler


def inner(n: int) -> int:
    """Take some time."""
    return sum(range(n))


def test_a_profile_names_what_was_called() -> None:
    """The result is that of the function, the text has a line for each function."""
    profiler = Profiler()

    assert profiler.run(lambda n, *, more: inner(n) + more, (10,), {"more": 1}) == 46

    assert "(inner)" in profiler.text()
    assert "cumulative" in profiler.text()


def test_a_profile_has_its_calls() -> None:
    """Who called whom, how often, and how long that took; the function of the job has no caller."""
    profiler = Profiler()

    profiler.run(lambda: [inner(1000) for _ in range(3)], (), {})
    profile = profiler.result()

    named = {call.function.rpartition("(")[2]: call for call in profile.calls}
    assert named["inner)"].calls == 3
    assert named["inner)"].total_s >= named["inner)"].own_s >= 0
    assert "(inner)" in next(call.caller for call in profile.calls if "sum" in call.function)
    assert "" in {call.caller for call in profile.calls}
    assert "(inner)" in profile.text


def test_functions_of_one_name_and_line_are_added_up() -> None:
    """Two generators in one line are one function in a profile; both count."""
    profiler = Profiler()

    profiler.run(lambda: (sum(n for n in range(10)), sum(n for n in range(10))), (), {})

    (generator,) = (call for call in profiler.calls() if "genexpr" in call.function)
    assert generator.calls == 22


def test_a_failed_function_has_a_profile() -> None:
    """Its exception passes, with no frame of cProfile in its traceback."""
    profiler = Profiler()

    with pytest.raises(ValueError, match="invalid literal") as raised:
        profiler.run(int, ("x",), {})

    assert all("cProfile" not in str(entry.path) for entry in raised.traceback)
    assert "function calls" in profiler.text()


def test_a_long_profile_is_cut() -> None:
    """It is bounded whatever the function called."""
    functions = "\n".join(f"def f{n}(): pass\nf{n}()" for n in range(1_500))
    profiler = Profiler()

    profiler.run(exec, (functions, {}), {})

    assert len(profiler.text()) == MOST_CHARACTERS
    assert len(profiler.calls()) == MOST_CALLS
