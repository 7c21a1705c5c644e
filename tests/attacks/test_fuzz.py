"""Generated requests: nothing that fits the OpenAPI document, or nearly does, is a server error.

Schemathesis generates them from the document that the server serves.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from tests.attacks.openapi_targets import TARGETS, Target
from tests.attacks.sender import authorization
from tests.e2e.conftest import STACKS, USUAL, starter
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stacks import EmbeddedStack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.stacks import Stack

EXAMPLES: Final = {EmbeddedStack.name: 25, HashiCorpStack.name: 8}
"""Requests for each operation and kind: some seconds in total."""
FAULT: Final = 500
MADE: Final = [
    (target, mode)
    for target in TARGETS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE
    or target.fields
    or ("{" in target.path and not target.path.startswith("/public/") and target.verb != "OPTIONS")
]
"""An operation without a body is requested in one way only; any text is the key of an object, and
a browser may ask about any address."""
CALM: Final = {"wait_s": 0.0, "timeout_s": 0.0, "leaving": False}
"""Fields that make a request long, or that end the slot whose token is used."""


@pytest.fixture(scope="module", params=USUAL)
def fuzzed_stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A stack for this module, which no other test could use afterwards."""
    for start in starter(STACKS[request.param], tmp_path_factory):
        stack = start()
        with contextlib.closing(stack.client()) as client:
            client.join(client.call(abs, 1), 60)
        yield stack
        assert "request.failed" not in stack.faults(), stack.faults()[-5000:]


@pytest.fixture(scope="module")
def described(fuzzed_stack: Stack) -> Any:
    """The document, as schemathesis reads it."""
    return schemathesis.openapi.from_url(f"{fuzzed_stack.url}/v1/openapi.json")


@pytest.fixture(scope="module")
def credentials(fuzzed_stack: Stack) -> dict[str, str]:
    """A valid credential of each kind."""
    key = fuzzed_stack.key
    return {"apiKey": key, "basic": key, "slotToken": fuzzed_stack.slot_token()}


@pytest.mark.parametrize(("target", "mode"), MADE, ids=str)
def test_no_request_is_a_fault_of_the_server(
    fuzzed_stack: Stack,
    described: Any,
    credentials: dict[str, str],
    target: Target,
    mode: GenerationMode,
) -> None:
    """Every operation gets requests that fit its schema and requests that do not."""
    operation = described[target.path][target.verb]
    kind = min(target.wants, default="apiKey")
    headers = {"Authorization": authorization(target.path, credentials[kind])}
    session = requests.Session()

    @settings(
        max_examples=EXAMPLES[fuzzed_stack.name],
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        if isinstance(case.body, dict):
            case.body |= {name: calm for name, calm in CALM.items() if name in target.fields}
        answer = case.call(base_url=fuzzed_stack.url, session=session, headers=headers, timeout=20)
        healthy = target.path == "/v1/health"
        early = target.path == "/job/result" and answer.json().get("code") == "unavailable"
        why = fuzzed_stack.faults()[-4000:] if answer.status_code == FAULT else answer.text
        assert answer.status_code < FAULT or healthy or early, (case.body, why)
        assert "Traceback" not in answer.text

    with contextlib.closing(session):
        ask()
