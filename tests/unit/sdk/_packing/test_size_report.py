"""The serialization log: what weighs how much, and what cannot travel."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._config.configuration import Config
from cloud._packing import size_report

from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from pathlib import Path

TABLE = {"rows": list(range(2000)), "name": "t"}
LOCK = threading.Lock()


def test_the_heaviest_part_comes_first(tmp_path: Path) -> None:
    """Each part with its size in bytes and its type, its own parts below it."""
    file = size_report.write(
        str(tmp_path / "logs"), "call", lambda: TABLE, [b"x" * 5000, 1], {"k": 2}
    )

    lines = file.read_text().splitlines()
    assert lines[0].startswith("call of ")
    assert any(line.strip().startswith("global 'TABLE'") for line in lines)
    assert any(line.strip().startswith("item 'rows'") for line in lines)
    assert next(line for line in lines if "argument 0" in line).endswith("bytes, bytes")
    assert "argument 'k': 5 bytes, int" in lines[-1] or "argument 1" in lines[-1]


def test_what_cannot_be_pickled_is_marked(tmp_path: Path) -> None:
    """The promise: "Whenever you see an error it is best to try looking at the serialization logs
    to find the problematic variable."
    """
    config = Config()
    config.serialize_logging = True
    config.serialize_logging_path = str(tmp_path / "datalogs")
    client = client_for(FakeServer(), config)

    with pytest.raises(CloudException, match="LOCK"):
        client.call(lambda: LOCK)

    (file,) = (tmp_path / "datalogs").iterdir()
    assert "global 'LOCK': cannot be pickled, lock" in file.read_text()


def test_nothing_is_written_unless_asked_for(tmp_path: Path, monkeypatch: object) -> None:
    """Logs cost time and room: they are off, and a generator is never used up for one."""
    config = Config()
    config.serialize_logging_path = str(tmp_path)
    client = client_for(FakeServer(), config)
    client.call(abs, -1)
    assert not list(tmp_path.iterdir())

    config.serialize_logging = True
    assert len(client.map(abs, (number for number in range(3)))) == 3
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("serialize_logging", 1), ("serialize_logging_path", 5)]
)
def test_settings_are_checked(name: str, value: object) -> None:
    """A wrong value is refused when it is set."""
    with pytest.raises(CloudException, match=name):
        setattr(Config(), name, value)
