"""What publishes functions: options that need a submitter are refused before any request."""

from __future__ import annotations

import pytest
from cloud._arguments.options import only_options
from cloud._endpoints.access import Access
from cloud._endpoints.encoding import checked_encoding
from cloud._endpoints.parameters import read_signature
from cloud._endpoints.publication import publish_job
from cloud.errors import CloudException


def test_a_published_function_depends_on_no_job() -> None:
    """Its calls are made by others, later."""
    options = only_options({"_depends_on": [1]}, "")

    with pytest.raises(CloudException, match="A published function has no _depends_on"):
        publish_job(
            abs,
            "e",
            read_signature(lambda x: x),
            checked_encoding("json", ""),
            options,
            access=Access(),
        )
