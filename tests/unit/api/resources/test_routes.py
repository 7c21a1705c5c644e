"""The route table as a whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from picloud_api.resources.routes import ROUTES
from picloud_model import wire

if TYPE_CHECKING:
    from picloud_api.resources.route import Route


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.verb} {route.address}")
def test_each_route_is_served_by_a_method(route: Route) -> None:
    """A row without a method of its resource would be served by none."""
    name = "_".join(filter(None, ("on", route.verb.lower(), route.suffix)))

    assert callable(getattr(route.resource, name, None)), name


def test_each_operation_is_listed_once() -> None:
    """No two rows have the same verb and address."""
    operations = Counter((route.verb, route.address) for route in ROUTES)

    assert [operation for operation, count in operations.items() if count > 1] == []


def test_each_body_is_of_the_wire() -> None:
    """Requests refuse unknown fields, and answers may gain some: their base classes say so."""
    for route in ROUTES:
        assert route.request in (None, bytes) or issubclass(route.request, wire.body.Request)
        assert route.answer in (None, bytes, str) or issubclass(route.answer, wire.Answer)
