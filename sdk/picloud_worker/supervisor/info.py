"""Info: what a slot can tell of its jobs, gathered by the supervisor from outside of user code.

A job that was quick and silent leaves none. One that crashed leaves what could be seen of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Content, Info, Sample, pack_info

from picloud_worker.system import procfs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from picloud_model.wire import Stream

    from picloud_worker.ipc.frames import JobStats
    from picloud_worker.ipc.scoreboard import StartedJob
    from picloud_worker.supervisor.child_process import ChildProcess
    from picloud_worker.system.procfs import Usage

SAMPLE_S: Final = 1.0
"""How often a job is looked at, at first."""
MOST_SAMPLES: Final = 120
"""When there are as many, every other one is dropped and half as many are taken from then on."""
_STREAMS: Final = ("stdout", "stderr", "logging")


class JobMonitor:
    """Watches the jobs of one child.

    Args:
        child: Whose jobs.
        clock: Monotonic seconds.
    """

    def __init__(self, child: ChildProcess, clock: Callable[[], float]) -> None:
        self._child = child
        self._clock = clock
        self._job: tuple[int, int] | None = None
        self._since = self._next_at = 0.0
        self._every_s = SAMPLE_S
        self._samples: list[Sample] = []
        self._latest: tuple[float, float] | None = None
        self._seen: Usage | None = None

    def look(self, begun: StartedJob | None) -> None:
        """Take a sample when it is time for one."""
        now = self._clock()
        job = (begun.generation, begun.position) if begun else None
        if job != self._job:
            self._job, self._since = job, now
            self._every_s, self._next_at = SAMPLE_S, now + SAMPLE_S
            self._samples, self._latest, self._seen = [], None, None
        if begun is not None and now >= self._next_at:
            self._next_at = now + self._every_s
            self._samples += self._measured(begun, now)
            if len(self._samples) > MOST_SAMPLES:
                del self._samples[::2]
                self._every_s *= 2

    def _measured(self, begun: StartedJob, now: float) -> list[Sample]:
        """What the job uses now, if the system tells; CPU is that since the last time."""
        self._seen = found = procfs.read(self._child.pid)
        if found is None:
            return []
        before, cpu = self._latest or (self._since, begun.user_s + begun.system_s)
        spent = max(0.0, found.cpu_s - cpu)
        percentage = round(100 * spent / max(now - before, 0.01), 1)
        self._latest = (now, found.cpu_s)
        return [Sample(round(now - self._since, 2), percentage, found.memory_bytes)]

    def ended(self, generation: int, position: int, stats: JobStats | None) -> Content | None:
        """What is to be told of a job that a child says has ended."""
        if stats is None:
            return None
        streams = self._taken(stats.ends)
        return _content(
            Info(
                streams=streams,
                user_s=stats.user_s,
                system_s=stats.system_s,
                peak_bytes=stats.peak_bytes,
                profile=stats.profile,
                samples=self._samples if self._job == (generation, position) else [],
            )
        )

    def _taken(self, ends: tuple[int | None, ...]) -> dict[str, Stream]:
        """What a job wrote up to these ends of the files; None is for all that is there."""
        found = {}
        for name, output, end in zip(_STREAMS, self._child.outputs, ends, strict=True):
            if (stream := output.take(end)) is not None:
                found[name] = stream
        return found

    def died(self, begun: StartedJob | None) -> Content | None:
        """What is to be told of a job whose child is gone."""
        streams = self._taken((None, None, None))
        seen = self._seen
        if seen is None or begun is None:
            return _content(Info(streams=streams)) if streams else None
        return _content(
            Info(
                streams=streams,
                user_s=max(0.0, seen.user_s - begun.user_s),
                system_s=max(0.0, seen.system_s - begun.system_s),
                peak_bytes=seen.peak_bytes,
                samples=self._samples,
            )
        )

    def live(self, begun: StartedJob, since: Mapping[str, int]) -> Info:
        """What can be seen of the job that runs now.

        Args:
            begun: Which job.
            since: How many bytes of streams whoever asks knows; only these are told then.
        """
        outputs = dict(zip(_STREAMS, self._child.outputs, strict=True))
        if since:
            return Info(streams={name: outputs[name].look(at) for name, at in since.items()})
        self.look(begun)
        measured, found = self._measured(begun, self._clock()), self._seen
        streams = {name: output.look() for name, output in outputs.items()}
        if found is None:
            return Info(streams=streams)
        return Info(
            streams=streams,
            user_s=max(0.0, found.user_s - begun.user_s),
            system_s=max(0.0, found.system_s - begun.system_s),
            peak_bytes=found.peak_bytes,
            memory_bytes=found.memory_bytes,
            swap_bytes=found.swap_bytes,
            cpu_percentage=measured[0].cpu_percentage if measured else None,
            ports=procfs.listening(self._child.pid),
            samples=self._samples,
        )


def _content(info: Info) -> Content:
    data = pack_info(info)
    return Content("", len(data), data)
