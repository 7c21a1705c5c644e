"""`Retry` and `MaxRetryException` travel like other exceptions."""

from __future__ import annotations

import pickle

from cloud.queue import MaxRetryException, Retry


def test_they_can_be_pickled() -> None:
    """With what they say."""
    retry = pickle.loads(pickle.dumps(Retry(60, 3, "busy", KeyError("k"), label="old")))
    last = pickle.loads(pickle.dumps(MaxRetryException("handled 4 times", "in")))

    assert (retry.delay, retry.max_retries, str(retry)) == (60, 3, "busy")
    assert isinstance(retry.inner_excp_value, KeyError)
    assert (str(last), last.attachment()) == ("handled 4 times", "in")
