"""admin jobspec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud import exits
from picloud_jobspecs.api import ApiService, api_jobspec

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_jobspec_has_what_was_chosen(run: Callable[..., Any]) -> None:
    """Options and the command are the defaults of its variables."""
    outcome = run("admin", "jobspec", "--count", "2", "--healthy", "60", "--", "/opt/run", "api")

    wanted = ApiService(count=2, healthy_s=60, command=("/opt/run", "api"))
    assert (outcome.exit_code, outcome.stdout) == (exits.OK, api_jobspec(wanted))


def test_a_wrong_value_is_named(run: Callable[..., Any]) -> None:
    """One sentence, and no jobspec."""
    outcome = run("admin", "jobspec", "--pool", "${node.class}")

    assert outcome.exit_code != exits.OK
    assert outcome.stdout == ""
    assert "'${node.class}' cannot be the pool of the API; give letters, digits" in outcome.stderr
