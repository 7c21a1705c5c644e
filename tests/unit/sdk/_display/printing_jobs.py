"""Jobs whose output tests of displays read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire import JobInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class PrintingJobs:
    """Jobs that print when a test says so."""

    def __init__(self, *jids: int) -> None:
        self.statuses = dict.fromkeys(jids, "queued")
        self.stdout = dict.fromkeys(jids, "")
        self.stderr = dict.fromkeys(jids, "")
        self.requests = 0

    def status(self, jids: Sequence[int]) -> list[str]:
        """Return the statuses of jobs."""
        return [self.statuses[jid] for jid in jids]

    def streams(self, jids: Sequence[int], since: Mapping[str, int]) -> Iterator[JobInfo]:
        """Yield what jobs have written after these offsets."""
        self.requests += 1
        for jid in jids:
            texts = {"stdout": self.stdout[jid], "stderr": self.stderr[jid]}
            yield JobInfo(
                jid=jid,
                values={
                    "status": self.statuses[jid],
                    **{name: text[since[name] :] for name, text in texts.items()},
                },
                ends={name: len(text) for name, text in texts.items()},
            )
