"""What the attacks share: the stacks of the end-to-end tests, and a sender with every
credential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.wire.role import Role

from tests.attacks.sender import Sender
from tests.e2e.conftest import client, keys, other, over_stacks, picloud, stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.stacks import Stack

__all__ = ["client", "other", "picloud", "stack"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of this directory over every stack; those that start one use the fastest."""
    over_stacks(metafunc, "stack")


@pytest.fixture(scope="session")
def sender(stack: Stack) -> Iterator[Sender]:
    """Sends requests to the shared stack, with every kind of credential; a slot of it is alive."""
    begun = stack.client()

    def live_slot() -> str:
        begun.join(begun.call(abs, 1), 60)
        return stack.slot_token()

    made = Sender(stack.url, stack.key, keys[stack], live_slot)
    spare = begun.keys.create().key
    begun.keys.set_active(spare.split("_")[1], active=False)
    made.revoked = spare
    made.reader = begun.keys.create(Role.READER).key
    made.member = begun.keys.create(Role.MEMBER).key
    yield made
    made.close()
    begun.close()
    assert "request.failed" not in stack.faults(), stack.faults()
