"""Ids of what a handler pushes: the same for the same message, however often it is handled."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING

from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.attachment import HandledRequest


def output_ids(request: HandledRequest, queue_id: str, numbers: Sequence[int]) -> list[list[str]]:
    """Return an id for each message of each output; none for outputs that do not name sources.

    Args:
        request: What a handler made of messages.
        queue_id: Identifies the queue that these are of.
        numbers: The numbers of these messages in it.

    Raises:
        RequestRefused: When an output does not name one of these messages for each of its own.
    """
    counts: Counter[tuple[str, int]] = Counter()
    ids = []
    for output in request.outputs:
        if output.sources and (
            len(output.sources) != len(output.messages) or max(output.sources) >= len(numbers)
        ):
            raise RequestRefused(
                "`sources` has the position of a ticket for each message of an output.",
                field="outputs",
            )
        listed = []
        for source in output.sources:
            place = (output.queue, numbers[source])
            text = f"{request.attachment}/{queue_id}/{numbers[source]}/{counts[place]}"
            listed.append(blake2b(text.encode(), digest_size=16).hexdigest())
            counts[place] += 1
        ids.append(listed)
    return ids
