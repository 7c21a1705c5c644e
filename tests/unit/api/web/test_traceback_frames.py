"""Traceback frames: those of the user can be distinguished from those of libraries."""

from __future__ import annotations

import json
import traceback

from picloud_api.web.traceback_frames import frames_of


def _remote() -> str:
    try:
        json.loads("{")
    except ValueError:
        return traceback.format_exc()
    raise AssertionError


def test_frames_of_libraries_are_marked() -> None:
    """What Python itself prints is taken apart; nothing of it is lost."""
    text = _remote()

    frames = frames_of(text)

    own = [frame for frame in frames if frame.file and not frame.is_library]
    assert [frame.function for frame in own] == ["_remote"]
    assert {frame.function for frame in frames if frame.is_library} >= {"loads", "decode"}
    assert frames[-1].text.startswith("json.decoder.JSONDecodeError")
    assert all(line.strip() in text for frame in frames for line in frame.text.splitlines())


def test_other_texts_are_one_piece() -> None:
    """What is not a traceback is shown as it is."""
    assert [frame.text for frame in frames_of("signal 11 (SIGSEGV)\nlast words")] == [
        "signal 11 (SIGSEGV)\nlast words"
    ]
    assert frames_of("") == []
