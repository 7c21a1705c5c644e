"""Names of other libraries are answered with ours."""

from __future__ import annotations

import cloud
import pytest


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("submit", "use cloud.call"),
        ("remote", "use cloud.call"),
        ("put", "use an argument of cloud.map"),
        ("get", "use cloud.result"),
        ("gather", "use cloud.result"),
        ("resutl", "did you mean cloud.result?"),
    ],
)
def test_names_of_other_libraries_are_known(name: str, cure: str) -> None:
    """The error names the function that does it here."""
    with pytest.raises(AttributeError) as caught:
        getattr(cloud, name)

    assert str(caught.value).startswith(f"cloud has no {name!r}; {cure}")


@pytest.mark.parametrize(
    ("noun", "name", "cure"),
    [
        ("queue", "create", "use cloud.queue.get(name), which creates it"),
        ("cron", "regster", "did you mean cloud.cron.register?"),
        ("secret", "get", "use _secrets=name in a call"),
        ("mp", "submit", "use cloud.mp.call(function, *args)"),
    ],
)
def test_names_of_a_module_are_guessed(noun: str, name: str, cure: str) -> None:
    """As those of `cloud`; the traceback ends where the name is."""
    module = cloud.__getattr__(noun)  # as the first time, whatever another test has imported
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)

    assert str(caught.value).startswith(f"cloud.{noun} has no {name!r}; {cure}")
    assert caught.tb.tb_next is None
    assert not hasattr(module, "__wrapped__")


def test_every_function_named_exists() -> None:
    """What the errors advise is there."""
    for name in ("call", "result", "iresult", "iresult_unordered", "kill", "info", "join", "map"):
        assert callable(getattr(cloud, name))
