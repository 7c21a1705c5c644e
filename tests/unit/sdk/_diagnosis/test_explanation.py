"""`cloud.explain`: what a call would send, and what its job expects to find."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import cloud
import cloudpickle
import msgspec
import pytest
from cloud._config.configuration import Config

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE = [1.5] * 1000
LOCK = threading.Lock()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that the current client talks to."""
    found = FakeServer()
    with current_client(client_for(found)):
        yield found


def by_value(source: str) -> Any:
    """Return the function `f` of a main program, which travels by value."""
    scope: dict[str, Any] = {"__name__": "__main__", "TABLE": TABLE, "LOCK": LOCK}
    exec(source, scope)
    return scope["f"]


def test_it_says_what_is_sent_and_sends_nothing(server: FakeServer) -> None:
    """Bytes of function, arguments and each part; no request, no job."""
    function = by_value("def f(x): return sum(TABLE) + x")

    explained = cloud.explain(function, "x" * 5000)

    assert server.sent == []
    assert explained.problem == ""
    assert explained.function == "__main__.f"
    assert explained.total_bytes == explained.function_bytes + explained.argument_bytes
    text = str(explained)
    assert text.startswith(f"call of __main__.f: {explained.total_bytes:,} bytes\n")
    assert "\n  argument 0: 5,018 bytes, str" in text
    assert "\n    global 'TABLE': " in text
    assert "\n      ... and 1,000 more" in text


def test_it_says_what_the_worker_has_to_have(server: FakeServer) -> None:
    """Installed distributions with their versions; modules that are not here either."""
    source = "def f(x):\n    import msgspec.json, no_such_module, os"

    explained = cloud.explain(by_value(source), msgspec.Raw(b"1"), _env="sci")

    assert server.sent == []
    assert explained.expected == {"msgspec": msgspec.__version__}
    assert explained.missing == ("no_such_module",)
    assert f"  expected in the environment sci: msgspec {msgspec.__version__}\n" in str(explained)
    assert str(explained).endswith("imported, but not found here: no_such_module")


def test_modules_that_travel_are_searched_as_well(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they import is expected too; what stays here is named, with the reason."""
    package = tmp_path / "explained_package"
    package.mkdir()
    (package / "__init__.py").write_text("import msgspec\ndef scaled(x):\n    return 2 * x\n")
    (package / "table.csv").write_text("1,2\n" * 100)
    monkeypatch.syspath_prepend(str(tmp_path))
    config = Config()
    config.package_data = 10

    with current_client(client_for(server, config)):
        explained = cloud.explain(by_value("def f():\n    import explained_package"))

    assert list(explained.files) == ["explained_package/__init__.py"]
    assert explained.left_out == (
        "explained_package: 400 bytes of data, and cloud.config.package_data is 10",
    )
    assert explained.expected == {"msgspec": msgspec.__version__}


def test_what_cannot_be_sent_is_explained_and_not_raised(server: FakeServer) -> None:
    """The sentence that `cloud.call` would raise, with the part that is to blame."""
    explained = cloud.explain(by_value("def f(x): return LOCK"), 1)

    assert server.sent == []
    assert explained.problem.startswith("Cannot send f: global 'LOCK' is a _thread.lock")
    assert explained.function_bytes == 0
    assert "global 'LOCK': cannot be pickled, lock" in str(explained)


def test_wrong_arguments_and_options_raise(server: FakeServer) -> None:
    """What would be refused before anything is packed is refused here, too."""
    with pytest.raises(cloud.CloudTypeError, match="must be a function, not 3"):
        cloud.explain(3)  # type: ignore[arg-type]
    with pytest.raises(cloud.CloudTypeError, match="too many positional arguments"):
        cloud.explain(by_value("def f(): pass"), 1)
    with pytest.raises(cloud.CloudException, match="There is no option _core"):
        cloud.explain(cloudpickle.dumps, 1, _core=2)
    assert server.sent == []
