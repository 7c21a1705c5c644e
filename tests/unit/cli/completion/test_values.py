"""Completion of fixed values and of profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud._config import profile
from picloud.completion import values

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_statuses_have_descriptions() -> None:
    """Whether a job with that status has ended."""
    assert dict(values.statuses(""))["processing"] == "not ended"
    assert dict(values.statuses(""))["killed"] == "ended"


def test_profiles_have_their_server_as_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that begin with what is typed."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    for name in ("work", "home"):
        profile.write(tmp_path / "profiles.toml", name, profile.Profile(f"http://{name}", "k"))

    assert values.profiles("w") == [("work", "http://work")]


def test_a_malformed_file_has_no_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion prints no errors."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    (tmp_path / "profiles.toml").write_text("[")

    assert values.profiles("") == []
