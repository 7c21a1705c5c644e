"""Answers of the original interface."""

from __future__ import annotations

import msgspec
import pytest
from picloud_model import wire


def test_an_answer_has_the_version_of_the_interface() -> None:
    """Programs for the original may look at it; a default is sent, too."""
    answer = wire.OriginalInfos(info={"1": {"status": "done", "runtime": None}})

    assert wire.encode(answer, wire.JSON) == (
        b'{"info":{"1":{"status":"done","runtime":null}},"version":"0.1"}'
    )


@pytest.mark.parametrize("values", [{}, {"jids": []}, {"jids": ["0"]}, {"jids": ["x"]}])
def test_an_info_query_names_jobs(values: dict[str, list[str]]) -> None:
    """At least one, each by a jid."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(values, wire.OriginalInfoQuery, strict=False)
