"""Ids of what handlers push."""

from __future__ import annotations

import pytest
from picloud_api.usecases.queues.output_ids import output_ids
from picloud_model.errors import RequestRefused
from picloud_model.wire.attachment import HandledRequest, HandlerOutput
from picloud_model.wire.queue import QueueMessage

MESSAGE = QueueMessage(json="1")


def request(*outputs: tuple[str, list[int]], attachment: str = "a" * 32) -> HandledRequest:
    """What a handler made of two messages: the queues, and the sources of what is pushed there."""
    return HandledRequest(
        queue="in",
        attachment=attachment,
        tickets=["x", "y"],
        outputs=[
            HandlerOutput(queue=queue, messages=[MESSAGE] * max(1, len(sources)), sources=sources)
            for queue, sources in outputs
        ],
    )


def test_ids_are_those_of_the_message_and_the_handler() -> None:
    """Not those of the messages that are handled with it; each output has an id of its own."""
    both = output_ids(request(("out", [0, 1, 1]), ("log", [0])), "q", [7, 8])
    (alone,) = output_ids(request(("out", [0, 0])), "q", [8])

    assert both[0][1:] == alone
    assert len({*both[0]}) == 3
    others = [
        output_ids(request(("out", [0])), "another", [8]),
        output_ids(request(("out", [0]), attachment="b" * 32), "q", [8]),
        output_ids(request(("out", [0])), "q", [9]),
    ]
    assert alone[0] not in [each[0][0] for each in others]
    assert output_ids(request(("out", [])), "q", [7]) == [[]]


@pytest.mark.parametrize("sources", [[2], [0, 1]])
def test_wrong_sources_are_refused(sources: list[int]) -> None:
    """Each is the position of a ticket, one for each message."""
    wrong = HandlerOutput(queue="out", messages=[MESSAGE], sources=sources)
    with pytest.raises(RequestRefused, match="has the position of a ticket for each message"):
        output_ids(HandledRequest("in", "a" * 32, ["x", "y"], [wrong]), "q", [7, 8])
