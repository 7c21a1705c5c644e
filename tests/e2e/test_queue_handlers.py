"""Handlers of queues, on every stack."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException, queue

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client
    from cloud.queue import CloudQueue

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack


@pytest.fixture
def make(client: Client) -> Iterator[Callable[[str], CloudQueue]]:
    """A function that makes queues; their handlers end with the test."""
    made: list[CloudQueue] = []

    def make(name: str, encoding: str = "pickle") -> CloudQueue:
        made.append(queue.get(f"{name}-{uuid.uuid4().hex[:20]}", encoding))
        return made[-1]

    with current_client(client):
        yield make
    with current_client(client):
        jids = [jid for q in made for jid in q.info().get("attachment", {}).get("jids", ())]
        for q in made:
            q.detach()
            q.delete()
        client.kill(jids)


def pop_all(q: CloudQueue, count: int) -> list[Any]:
    """Pop until that many messages have come."""
    popped: list[Any] = []
    while len(popped) < count:
        more = q.pop(1000, timeout=60)
        assert more, f"{len(popped)} of {count} messages have come"
        popped += more
    return popped


def increment(x: int) -> int:
    """Add one."""
    return x + 1


def test_the_session_of_the_first_post(make: Callable[[str], CloudQueue], client: Client) -> None:
    """A thousand numbers become bigger numbers, in jobs that are listed and end by themselves."""
    numbers, bigger = make("numbers"), make("bigger-numbers")
    numbers.attach(increment, bigger)
    numbers.push(range(1000))

    assert sorted(pop_all(bigger, 1000)) == list(range(1, 1001))
    assert numbers.count() == bigger.count() == 0
    attached = numbers.info()["attachment"]
    assert attached["function"].endswith("increment")
    assert attached["output_queues"] == [bigger.name]
    (jid,) = attached["jids"]
    assert client.info(jid, "function")[jid]["function"] == attached["function"]
    numbers.detach()
    assert client.result(jid, timeout=60) == 1000


def test_more_jobs_and_another_handler(make: Callable[[str], CloudQueue]) -> None:
    """The session of the second post: attaching again replaces the handler of a thousand numbers,
    none of which is lost or handled twice.
    """
    numbers, bigger = make("numbers"), make("bigger-numbers")
    numbers.attach(increment, bigger)
    numbers.push(range(500))
    numbers.attach(lambda x: -x, bigger, _max_parallel_jobs=5, readers_per_job=4, _label="minus")
    numbers.push(range(500, 1000))

    results = pop_all(bigger, 1000)

    assert numbers.info()["attachment"]["max_parallel_jobs"] == 5
    assert sorted(x - 1 if x > 0 else -x for x in results) == list(range(1000))
    assert set(range(-999, -499)) <= set(results)


def test_retries_and_errors(make: Callable[[str], CloudQueue]) -> None:
    """A message is tried as often as the rules say, then it is sent to the queue of errors."""
    urls, pages, bad = make("urls"), make("pages"), make("bad-urls")

    class Download:
        """Fails for some messages, always or at first."""

        def __init__(self) -> None:
            self.tried: dict[str, int] = {}

        def pre_handling(self) -> None:
            self.prefix = "page of "

        def message_handler(self, url: str) -> str | None:
            self.tried[url] = self.tried.get(url, 0) + 1
            if url == "flaky" and self.tried[url] < 3:
                raise queue.Retry(0.1, 5)
            if url == "down":
                raise ConnectionError(f"{url} {self.tried[url]}")
            if url == "wrong":
                raise ValueError(url)
            return None if url == "empty" else self.prefix + url

    urls.attach(
        Download(),
        [pages],
        retry_on=[ConnectionError],
        max_retries=2,
        retry_delay=0.1,
        on_error={Exception: {"queue": bad}},
    )
    urls.push(["good", "flaky", "down", "wrong", "empty"])

    assert sorted(pop_all(pages, 2)) == ["page of flaky", "page of good"]
    failed = {each["message"]: each for each in pop_all(bad, 2)}
    assert str(failed["down"]["exception"]) == "down 3"
    assert isinstance(failed["wrong"]["exception"], ValueError)
    assert "in message_handler" in failed["wrong"]["traceback"]
    assert failed["wrong"]["queue"] == urls.name
    assert pages.pop(timeout=0) == []


def test_outputs_may_be_many_and_in_many_queues(make: Callable[..., CloudQueue]) -> None:
    """Large ones have a blob for each queue; JSON is written where it is wanted."""
    words, first, second = make("words"), make("first"), make("second", "json")
    words.attach(lambda text: text.split(), [first, second], iter_output=True)
    large = "x" * 100_000
    words.push([f"{large} y"])

    assert sorted(pop_all(first, 2)) == sorted(pop_all(second, 2)) == [large, "y"]


def test_a_message_whose_job_is_killed_is_handled_again(
    make: Callable[[str], CloudQueue], stack: Stack, client: Client
) -> None:
    """By the next job, at once; what the first one had finished is not repeated."""
    jobs, done = make("jobs"), make("done")
    mark = stack.shared / uuid.uuid4().hex

    def endless(number: int) -> int:
        import time
        from pathlib import Path

        if number == 3 and not Path(mark).exists():
            Path(mark).touch()
            time.sleep(600)
        return number

    jobs.attach(endless, done)
    jobs.push(range(6))
    until(mark.exists, "the third message is being handled", 60.0)
    (jid,) = jobs.info()["attachment"]["jids"]
    client.kill(jid)

    assert sorted(pop_all(done, 6)) == list(range(6))
    assert client.wait_for_status(jid, "killed", 60) == "killed"


def test_cycles_and_a_queue_in_use(make: Callable[[str], CloudQueue]) -> None:
    """A handler may push into its own queue if that is meant; its queue cannot be deleted."""
    down, zero = make("down"), make("zero")
    with pytest.raises(CloudException, match="allow_cycle=True"):
        down.attach(lambda x: x - 1 or None, down)
    down.attach(lambda x: x - 1 or None, down, allow_cycle=True)
    with pytest.raises(CloudException, match="detach it first"):
        down.delete()
    down.push([3])
    until(lambda: not sum(down.info()[key] for key in ("count", "in_flight")), "it is empty", 60.0)
    with pytest.raises(CloudException, match="no queue 'missing'"):
        down.attach(increment, "missing")

    names = {each["name"]: each for each in queue.pipeline()}
    assert names[down.name]["attachment"]["output_queues"] == [down.name]
    assert "attachment" not in names[zero.name]


def test_a_handler_takes_batches(make: Callable[[str], CloudQueue]) -> None:
    """Of the size that was chosen at most; its outputs are read by a loop in asyncio."""
    numbers, sums = make("numbers"), make("sums")
    numbers.attach(lambda xs: [(x, len(xs)) for x in xs], sums, batch=(8, 0.2))
    numbers.push(range(20))

    async def read() -> dict[int, int]:
        read: dict[int, int] = {}
        async for number, size in sums:
            read[number] = size
            if len(read) == 20:
                break
        return read

    sizes = asyncio.run(asyncio.wait_for(read(), 60))

    assert sorted(sizes) == list(range(20))
    assert max(sizes.values()) == 8
    for batch, message in (
        (8, "a number of messages and of seconds"),
        ((0, 1), "the size of a batch is 1 to 1,000"),
        ((8, 11), "the wait of a batch is a number of seconds, 0 to 10"),
    ):
        with pytest.raises(CloudException, match=message):
            numbers.attach(increment, sums, batch=batch)


def test_a_handler_is_changed_while_it_works(
    make: Callable[[str], CloudQueue], picloud: Callable[..., Exited]
) -> None:
    """It is paused, goes on and gets more jobs; a queue is drained when all was handled."""
    numbers, bigger = make("numbers"), make("bigger-numbers")
    numbers.attach(increment, bigger)
    numbers.pause()
    numbers.push(range(10))
    with pytest.raises(CloudException, match="still has 10 messages"):
        numbers.drain(timeout=0)
    waiting, *rest = picloud("queue", "graph", numbers.name).out.splitlines()
    assert waiting.startswith(f"{numbers.name}: 10 waiting")
    assert rest == [
        f"│ {numbers.info()['attachment']['function']}, paused",
        f"└─> {bigger.name}: empty",
    ]

    picloud("queue", "limit", numbers.name, "-j", "3")
    picloud("queue", "resume", numbers.name)
    drained = picloud("queue", "drain", numbers.name, "--timeout", "60")

    assert (drained.code, drained.err) == (0, "")
    assert sorted(pop_all(bigger, 10)) == list(range(1, 11))
    attached = numbers.info()["attachment"]
    assert (attached["paused"], attached["max_parallel_jobs"]) == (False, 3)
    with pytest.raises(CloudException, match="No handler is attached to the queue"):
        bigger.pause()
    with pytest.raises(CloudException, match="max_parallel_jobs is 1 to 1,000"):
        numbers.limit(0)


def test_a_handler_keeps_to_its_limits(
    make: Callable[[str], CloudQueue], picloud: Callable[..., Exited]
) -> None:
    """All its jobs together: so many messages a second, and so many at a time."""
    numbers, times = make("numbers"), make("times")

    def now(number: int) -> float:
        import time

        del number
        return time.time()

    numbers.attach(now, times, max_per_second=20, max_in_flight=3, readers_per_job=4)
    attached = numbers.info()["attachment"]
    assert (attached["max_per_second"], attached["max_in_flight"]) == (20, 3)
    numbers.push(range(30))
    handled = sorted(pop_all(times, 30))
    assert handled[-1] - handled[0] >= 27 / 20 - 0.1

    picloud("queue", "limit", numbers.name, "--per-second", "0.5", "--in-flight", "0")
    attached = numbers.info()["attachment"]
    assert (attached["max_per_second"], attached["max_in_flight"]) == (0.5, None)
    assert attached["max_parallel_jobs"] == 1
    refused = picloud("queue", "limit", numbers.name)
    assert refused.err == "error: Give a limit: --max-parallel-jobs, --per-second or --in-flight.\n"
    for limits, message in (
        ({"max_per_second": -1}, "max_per_second is 0 to 1,000,000, not -1"),
        ({"max_in_flight": 1.5}, "max_in_flight is 0 to 1,000,000, not 1.5"),
    ):
        with pytest.raises(CloudException, match=message):
            numbers.limit(**limits)


def test_a_handler_of_another_account_is_out_of_reach(
    make: Callable[[str], CloudQueue], other: Client
) -> None:
    """Neither seen nor detached."""
    mine = make("mine")
    mine.attach(increment)
    with current_client(other):
        assert mine.name not in [each["name"] for each in queue.pipeline()]
        for act in (mine.info, mine.detach, mine.pause, lambda: mine.attach(increment)):
            with pytest.raises(CloudException, match=r"no queue|No handler"):
                act()


def test_handlers_from_the_shell(
    picloud: Callable[..., Exited], make: Callable[..., CloudQueue]
) -> None:
    """A command reads each message; what failed can be tried again with another command."""
    names, upper, failed = make("names"), make("upper", "json"), make("failed", "json")
    picloud("queue", "attach", names.name, "-o", upper.name, "--errors", failed.name, "exit 3")
    picloud("queue", "push", names.name, "ada", "grace")
    until(lambda: failed.count() == 2, "both have failed", 60.0)
    (shown,) = (each for each in queue.pipeline() if each["name"] == names.name)
    assert shown["attachment"]["function"] == "exit 3"
    picloud("queue", "attach", names.name, "-o", upper.name, "tr", "a-z", "A-Z")

    assert picloud("queue", "retry", failed.name).out == "2\n"

    assert sorted(pop_all(upper, 2)) == ["ADA", "GRACE"]
    picloud("queue", "detach", names.name)
    assert "attachment" not in json.loads(picloud("queue", "info", names.name, "--json").out)
    upper.push(["mine"])
    refused = picloud("queue", "retry", upper.name)
    assert (refused.code, upper.count()) == (1, 1)
    assert "no handler has pushed after a failure: 'mine'" in refused.err
