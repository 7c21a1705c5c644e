"""The options in front of a command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_output_json_has_the_effect_of_json_after_the_command(
    run: Callable[..., Any], server: FakeServer
) -> None:
    """Also for commands of groups."""
    server.next_jid = 2

    assert json.loads(run("-o", "json", "status", "1").stdout) == [{"jid": 1, "status": "queued"}]
    assert json.loads(run("-o", "json", "key", "list").stdout)[0]["id"] == "12ab"


def test_an_unknown_format_is_a_usage_error(run: Callable[..., Any]) -> None:
    """The message names the formats."""
    outcome = run("-o", "xml", "status", "1")

    assert outcome.exit_code == exits.USAGE
    assert "text or json" in outcome.stderr
