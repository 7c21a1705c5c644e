"""Monitors the jobs of a child from outside of user code: their output, CPU and memory.

A quick and silent job has no info. A crashed one has what could be seen of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace
from picloud_model.wire import Content, Info, Sample, pack_info

from picloud_worker.crash_trace import without_our_frames
from picloud_worker.system import memory, procfs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from picloud_model.wire import Stream
    from picloud_model.wire.info import Progress

    from picloud_worker.ipc.frames import JobStats
    from picloud_worker.ipc.scoreboard import StartedJob
    from picloud_worker.supervisor.output import Output
    from picloud_worker.system.kernel.traffic import Traffic
    from picloud_worker.system.procfs import Usage

SAMPLE_S: Final = 1.0
"""The interval of the first samples of a job."""
MOST_SAMPLES: Final = 120
"""At this number every other sample is dropped, and the interval doubles, up to `KEPT_S`."""
KEPT_S: Final = 30.0
"""The interval of the samples of a job that takes hours."""
MOST_KEPT: Final = 2880
"""How many samples at that interval are kept, those of a day; then it doubles, too."""
FAILURES_S: Final = 0.1
"""Failures of memory are read at most so often when jobs begin: quick ones are many."""
_STREAMS: Final = ("stdout", "stderr", "logging")


class EndInfo(msgspec.Struct, frozen=True):
    """The info of a job that has ended, if there is any, and whether there is output in it."""

    content: Content | None
    printed: bool


class JobMonitor:
    """Monitors the jobs of one child.

    Args:
        pid: Returns the process id of the child, 0 until it is known.
        outputs: Its stdout, stderr and log.
        clock: Monotonic seconds.
        failures: Returns how often the slot lacked memory until now, None if that is unknown.
        disk: Returns how many bytes the slot has on its disk now, None if that is unknown.
        traffic: Returns what the slot has received and sent until now, None if that is unknown.
        system_log: Returns what the system says of a process that is so many seconds old.
    """

    def __init__(
        self,
        pid: Callable[[], int],
        outputs: Sequence[Output],
        clock: Callable[[], float],
        failures: Callable[[], int | None] = memory.failures,
        *,
        disk: Callable[[], int | None] = lambda: None,
        traffic: Callable[[], Traffic | None] = lambda: None,
        system_log: Callable[[int, float], list[str]] = lambda _pid, _age_s: [],
    ) -> None:
        self._pid = pid
        self._outputs = dict(zip(_STREAMS, outputs, strict=True))
        self._clock = clock
        self._job: tuple[int, int] | None = None
        self._since = self._next_at = 0.0
        self._interval_s = SAMPLE_S
        self._samples: list[Sample] = []
        self._latest: tuple[float, float] | None = None
        self._usage: Usage | None = None
        self._peak_swap = 0
        self._progress: Progress | None = None
        self._failures = failures
        self._disk = disk
        self._traffic = traffic
        self._traffic_before = traffic()
        self._system_log = system_log
        self._failed = failures()
        self._failed_at = clock()

    def note(self, started: StartedJob | None, progress: Progress) -> None:
        """Note how far the job says it is that the child started last."""
        self.sample(started)
        self._progress = progress

    def sample(self, started: StartedJob | None) -> None:
        """Take a sample of the job that the child started last, if one is due."""
        now = self._clock()
        job = (started.generation, started.position) if started else None
        if job != self._job:
            self._job, self._since = job, now
            self._interval_s, self._next_at = SAMPLE_S, now + SAMPLE_S
            self._samples, self._latest, self._usage = [], None, None
            self._progress, self._peak_swap = None, 0
            if now - self._failed_at >= FAILURES_S:
                self._failed, self._failed_at = self._failures(), now
                self._traffic_before = self._traffic()
        if started is not None and now >= self._next_at:
            self._next_at = now + self._interval_s
            self._samples += self._measure(started, now)
            self._thin()

    def _thin(self) -> None:
        """Drop every other sample if there are as many as may be, and take fewer from now on."""
        interval_s = self._interval_s
        if len(self._samples) > (MOST_SAMPLES if interval_s < KEPT_S else MOST_KEPT):
            del self._samples[::2]
            doubled_s = 2 * interval_s
            self._interval_s = min(doubled_s, KEPT_S) if interval_s < KEPT_S else doubled_s

    def _measure(self, started: StartedJob, now: float) -> list[Sample]:
        """Measure the job, if the system can; CPU is relative to the last time."""
        self._usage = usage = procfs.read(self._pid())
        if usage is None:
            return []
        self._peak_swap = max(self._peak_swap, usage.swap_bytes)
        before, cpu_s = self._latest or (self._since, started.user_s + started.system_s)
        spent_s = max(0.0, usage.cpu_s - cpu_s)
        percentage = round(100 * spent_s / max(now - before, 0.01), 1)
        self._latest = (now, usage.cpu_s)
        return [Sample(round(now - self._since, 2), percentage, usage.memory_bytes)]

    def _lacked(self) -> int | None:
        """Return how often the job lacked memory."""
        failed = self._failures()
        return None if failed is None or self._failed is None else failed - self._failed

    def _transferred(self) -> tuple[int, int] | None:
        """Return how many bytes the slot has received and sent since the job began."""
        before, now = self._traffic_before, self._traffic()
        return None if before is None or now is None else now.since(before)

    def ended(self, generation: int, position: int, stats: JobStats | None) -> EndInfo:
        """Return the info of a job whose child says that it ended."""
        if stats is None:
            return EndInfo(None, printed=False)
        streams = self._take_streams(stats.ends)
        is_seen = self._job == (generation, position)
        was_measured = is_seen and self._usage is not None
        content = _content(
            Info(
                streams=streams,
                user_s=stats.user_s,
                system_s=stats.system_s,
                peak_bytes=stats.peak_bytes,
                profile=stats.profile.text if stats.profile else None,
                calls=stats.profile.calls if stats.profile else [],
                remarks=stats.remarks,
                samples=self._samples if is_seen else [],
                progress=self._progress if is_seen else None,
                memory_failures=self._lacked() if was_measured else None,
                peak_swap_bytes=self._peak_swap if was_measured else None,
                disk_bytes=self._disk() if was_measured else None,
                network_bytes=self._transferred() if was_measured else None,
            )
        )
        return EndInfo(content, printed=bool(streams))

    def _take_streams(self, ends: Sequence[int | None]) -> dict[str, Stream]:
        """Take what a job wrote up to these ends of the files; None means all of it."""
        streams = {}
        for (name, output), end in zip(self._outputs.items(), ends, strict=True):
            stream = output.take(end)
            if stream is not None and name == "stderr":
                stream = replace(stream, data=without_our_frames(stream.data))
            if stream is not None and stream.data:
                streams[name] = stream
        return streams

    def crashed(self, started: StartedJob | None, *, lacked_memory: bool = False) -> Content | None:
        """Return the info of a job whose child has exited.

        Args:
            started: The job.
            lacked_memory: Whether the kernel ended the child for want of memory: that counts, also
                where it happened before the job was noticed.
        """
        streams = self._take_streams((None, None, None))
        usage, lacked = self._usage, self._lacked()
        if lacked is not None and lacked_memory:
            lacked = max(lacked, 1)
        syslog = self._syslog(lacked, lacked_memory=lacked_memory)
        if usage is None or started is None:
            info = Info(streams=streams, memory_failures=lacked, syslog=syslog)
            return _content(info) if streams or lacked or syslog else None
        return _content(
            Info(
                streams=streams,
                user_s=max(0.0, usage.user_s - started.user_s),
                system_s=max(0.0, usage.system_s - started.system_s),
                peak_bytes=usage.peak_bytes,
                samples=self._samples,
                progress=self._progress,
                memory_failures=lacked,
                peak_swap_bytes=self._peak_swap,
                disk_bytes=self._disk(),
                network_bytes=self._transferred(),
                syslog=syslog,
            )
        )

    def _syslog(self, lacked: int | None, *, lacked_memory: bool) -> str:
        """Return what the system says of the end of the child, a line each."""
        lines = self._system_log(self._pid(), self._clock() - self._since)
        if lacked_memory and lacked is not None:
            what = memory.out_of_memory(self._usage.peak_bytes if self._usage else 0)
            lines.append(f"slot: {what}; the kernel killed a process")
        return "".join(f"{line}\n" for line in lines)

    def live(self, started: StartedJob, since: Mapping[str, int]) -> Info:
        """Return what can be seen of the job that runs.

        Args:
            started: The job.
            since: Offsets into streams that a user follows; then only what follows is returned.
        """
        if since:
            streams = {name: self._outputs[name].look(offset) for name, offset in since.items()}
            return Info(streams=streams)
        self.sample(started)
        samples, usage = self._measure(started, self._clock()), self._usage
        streams = {name: output.look() for name, output in self._outputs.items()}
        if usage is None:
            return Info(streams=streams, progress=self._progress)
        return Info(
            streams=streams,
            progress=self._progress,
            user_s=max(0.0, usage.user_s - started.user_s),
            system_s=max(0.0, usage.system_s - started.system_s),
            peak_bytes=usage.peak_bytes,
            memory_bytes=usage.memory_bytes,
            swap_bytes=usage.swap_bytes,
            cpu_percentage=samples[0].cpu_percentage if samples else None,
            ports=procfs.listening(self._pid()),
            samples=self._samples,
            memory_failures=self._lacked(),
            peak_swap_bytes=self._peak_swap,
            disk_bytes=self._disk(),
            network_bytes=self._transferred(),
        )


def _content(info: Info) -> Content:
    data = pack_info(info)
    return Content("", len(data), data)
