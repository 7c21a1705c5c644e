"""The settings of streams and consumers."""

from __future__ import annotations

import pytest
from picloud_driver.queue.nats_stream import consumer_config


@pytest.mark.parametrize(("replicas", "in_memory"), [(1, True), (3, False)])
def test_a_server_that_is_alone_writes_no_deliveries_to_the_disk(
    replicas: int, in_memory: bool
) -> None:
    """It did so more often than messages; a consumer is made anew after its restart."""
    config = consumer_config("q", "c", replicas)["config"]

    assert config["mem_storage"] is in_memory
