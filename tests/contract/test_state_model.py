"""Every state store compared with a dictionary, two writers at once, and a writer killed."""

import asyncio
import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from picloud_driver.state import ANY, Check, Conflict, Delete, Operation, Put, StateEntry, StatePort

from tests.contract.state_adapters import StateSite, another_process, commit_forever, said

KEYS = ["a", "a/", "a/1", "a/2", "a/10", "a0", "b//", "b/\n"]
PREFIXES = ["", "a", "a/", "a/1", "b/", "c"]


@dataclasses.dataclass(frozen=True)
class Wish:
    """An operation before it is known which version to expect."""

    kind: type[Operation]
    key: str
    #: What the key has, that it is missing, whatever it has, or a version it had before.
    expect: str
    value: bytes


wishes = st.lists(
    st.builds(
        Wish,
        kind=st.sampled_from([Put, Delete, Check]),
        key=st.sampled_from(KEYS),
        expect=st.sampled_from(["current", "current", "missing", "any", "former"]),
        value=st.binary(max_size=3),
    ),
    unique_by=lambda wish: wish.key,
    max_size=4,
)


class Beside(RuleBasedStateMachine):
    """A store and a dictionary with the same operations."""

    def __init__(self, site: StateSite) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.site = site.fresh()
        self.state = self.site.open()
        self.model: dict[str, StateEntry] = {}
        self.former: dict[str, int] = {}
        self.latest = 0

    def version(self, key: str) -> int:
        """The version the model has of a key."""
        return self.model[key].version if key in self.model else 0

    def operation(self, wish: Wish) -> Operation:
        """The operation that a wish comes to now."""
        expect = {
            "current": self.version(wish.key),
            "missing": 0,
            "any": ANY,
            "former": self.former.get(wish.key, 1),
        }[wish.expect]
        if wish.kind is Put:
            return Put(wish.key, wish.value, expect)
        return (Delete if wish.kind is Delete else Check)(wish.key, expect)

    @rule(wished=wishes)
    def commit(self, wished: list[Wish]) -> None:
        """It conflicts when the model says so, naming such a key, and else happens as a whole."""
        operations = [self.operation(wish) for wish in wished]
        unmet = [done for done in operations if done.expect not in (ANY, self.version(done.key))]
        if unmet:
            with pytest.raises(Conflict) as refused:
                self.runner.run(self.state.commit(operations))
            assert refused.value.keys
            assert set(refused.value.keys) <= {done.key for done in unmet}
            return
        versions = self.runner.run(self.state.commit(operations))
        assert versions.keys() == {done.key for done in operations if isinstance(done, Put)}
        assert all(version > self.latest for version in versions.values())
        self.latest = max([self.latest, *versions.values()])
        for done in operations:
            if not isinstance(done, Check):
                self.former[done.key] = self.version(done.key) or self.former.get(done.key, 1)
                self.model.pop(done.key, None)
            if isinstance(done, Put):
                self.model[done.key] = StateEntry(done.key, done.value, versions[done.key])

    @rule(keys=st.lists(st.sampled_from(KEYS), max_size=5))
    def get(self, keys: list[str]) -> None:
        """It returns what the model holds."""
        found = self.runner.run(self.state.get(keys))

        assert found == {key: self.model[key] for key in keys if key in self.model}

    @rule(
        prefix=st.sampled_from(PREFIXES),
        after=st.sampled_from(["", *KEYS]),
        limit=st.integers(1, 4),
    )
    def scan(self, prefix: str, after: str, limit: int) -> None:
        """It answers a part of the model, in order."""
        found = self.runner.run(self.state.scan(prefix, after, limit))

        keys = sorted(key for key in self.model if key.startswith(prefix) and key > after)
        assert found == [self.model[key] for key in keys[:limit]]

    @rule()
    def reopen(self) -> None:
        """Another process goes on where this one stopped."""
        self.runner.run(self.state.close())
        self.state = self.site.open()

    def teardown(self) -> None:
        """Let go of the store."""
        self.runner.run(self.state.close())
        self.runner.close()


def test_a_store_behaves_as_a_dictionary(state_site: StateSite) -> None:
    """Commits with right and wrong expectations, reads and scans agree with a model."""
    run_state_machine_as_test(
        lambda: Beside(state_site),
        settings=settings(
            max_examples=state_site.examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- several at once ------------------------------------------------------------------------------


async def test_of_writers_at_once_one_wins(state: StatePort, other: StatePort) -> None:
    """Of commits that expect the same version one is done; the others conflict."""
    version = 0
    for _ in range(10):
        racing = [
            (state, other)[number % 2].commit([Put("key", str(number).encode(), version)])
            for number in range(10)
        ]

        answers: list[Any] = await asyncio.gather(*racing, return_exceptions=True)

        won = [number for number, answer in enumerate(answers) if isinstance(answer, dict)]
        assert len(won) == 1
        assert [type(answer) for answer in answers].count(Conflict) == 9
        entry = (await other.get(["key"]))["key"]
        assert (entry.value, entry.version) == (str(won[0]).encode(), answers[won[0]]["key"])
        version = entry.version


async def test_counters_lose_no_increment(state: StatePort, other: StatePort) -> None:
    """Writers that read, add one and retry on a conflict come to the sum, on two keys at once."""
    keys = ["count/1", "count/2"]

    async def add_one(port: StatePort) -> None:
        while True:
            found = await port.get(keys)
            old = {key: found.get(key, StateEntry(key, b"0", 0)) for key in keys}
            await asyncio.sleep(0)
            new = {key: str(int(entry.value) + 1).encode() for key, entry in old.items()}
            try:
                await port.commit([Put(key, new[key], old[key].version) for key in keys])
            except Conflict:
                continue
            return

    async def writer(port: StatePort) -> None:
        for _ in range(10):
            await add_one(port)

    await asyncio.gather(*[writer((state, other)[number % 2]) for number in range(6)])

    assert [entry.value for entry in await state.scan("count/")] == [b"60", b"60"]


@pytest.mark.parametrize("answered", [1, 200])
async def test_completed_commits_survive_their_writer(state_site: StateSite, answered: int) -> None:
    """After SIGKILL between commits, every completed one is found, and complete."""
    with another_process(commit_forever, state_site) as (process, tell):
        for _ in range(answered):
            tell.recv()
        process.kill()
        told = answered + len(said(tell))

    state = state_site.open()
    kept = await state.scan("kept/", limit=100_000)
    latest = (await state.get(["latest"]))["latest"]
    await state.commit([Put("more", b"", 0)])
    await state.close()

    # One more may have been done without having been told.
    assert len(kept) in (told, told + 1)
    assert [int(entry.value) for entry in kept] == list(range(len(kept)))
    assert (latest.value, latest.version) == (kept[-1].value, kept[-1].version)
