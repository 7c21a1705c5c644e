"""Two versions work together: the API, its slots and its clients are upgraded one at a time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import end
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stacks import EmbeddedStack, kill, line_of
from tests.faults import earlier_version
from tests.faults.ledger import Ledger
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psutil

JOBS = 200

USE = """
import time, cloud
from cloud import CloudException, bucket, queue

jids = cloud.map(pow, range(5), [2] * 5, _label="squares")
assert cloud.result(jids) == [0, 1, 4, 9, 16]
factor = 3
jid = cloud.call(lambda number: print("seen") or number * factor, 2, _env=None, _type="c1")
assert cloud.result(jid) == 6
assert cloud.info(jid, ["stdout", "runtime"])[jid]["stdout"] == "seen\\n"
late = cloud.call(abs, -1, _depends_on=jid)
assert cloud.result(late) == 1
failing = cloud.call(divmod, 1, 0)
try:
    cloud.result(failing)
except CloudException as error:
    assert "ZeroDivisionError" in str(error), error
assert cloud.status(failing) == "error"
long = cloud.call(time.sleep, 600)
cloud.kill(long)
cloud.join(long, ignore_errors=True)
assert cloud.status(long) == "killed"
assert [each for each in cloud.iresult(jids)] == [0, 1, 4, 9, 16]
cloud.delete(jids)
large = cloud.call(len, bytes(900_000))
assert cloud.result(large) == 900_000
cloud.config.max_transmit_data = 8_000_000
larger = cloud.call(bytes.swapcase, b"a" * 2_000_000)
assert cloud.result(larger) == b"A" * 2_000_000
q = queue.get("between-versions")
q.push([1, 2, 3])
assert sorted(q.pop(3, timeout=20)) == [1, 2, 3]
q.delete()
bucket.putf(b"bytes", "between/versions")
assert bucket.getf("between/versions").read() == b"bytes"
bucket.remove("between/versions")
cloud.cron.register(time.time, "nightly", "0 3 * * *")
assert "nightly" in cloud.cron.list()
cloud.cron.deregister("nightly")
print("all of it")
"""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python in which the earlier version is installed."""
    return earlier_version.install(tmp_path_factory.mktemp("earlier"))


class TwoVersions(EmbeddedStack):
    """A stack whose API is of the earlier version or of this one; slots are of their API's."""

    def __init__(self, root: Path, earlier: str) -> None:
        super().__init__(root, earlier)
        self._versions = {"earlier": earlier, "current": sys.executable}

    def become(self, version: str) -> None:
        """Kill the API and start that of a version on the same data; slots go on."""
        self.kill9_api()
        self._python = self._versions[version]
        self.start()
        assert all(self.is_of(version, process) for process in self.api())

    def is_of(self, version: str, process: psutil.Process) -> bool:
        """Return whether a process runs in the Python of a version."""
        return line_of(process)[:1] == [self._versions[version]]


class TwoVersionsOnNomad(TwoVersions, HashiCorpStack):
    """The same over the servers of the HashiCorp stack, which stay; Nomad starts the slots."""


@pytest.fixture
def stack(request: pytest.FixtureRequest, tmp_path: Path, earlier: str) -> Iterator[TwoVersions]:
    """A stack of the earlier version."""
    made: TwoVersions = getattr(request, "param", TwoVersions)(tmp_path, earlier)
    made.start()
    yield made
    end(made)


@pytest.mark.parametrize(
    "stack", [TwoVersions, TwoVersionsOnNomad], ids=lambda kind: kind.name, indirect=True
)
def test_a_map_runs_through_an_upgrade_and_back(stack: TwoVersions) -> None:
    """During a map the API is upgraded, then its slots, then the API is the earlier one again, and
    at last the upgraded one: each job ends with one correct result, and no slot is lost by that.
    """
    ledger = Ledger(stack)
    ledger.submit(JOBS, 0.03)
    slots = until(lambda: slots_of(stack, "earlier"), "there are two slots")
    ledger.until_executed(JOBS // 8)

    stack.become("current")
    ledger.until_executed(JOBS // 4)
    assert stack.slots() == slots, "slots of the earlier version work with this API"

    for slot in slots:
        kill(slot)
    renewed = until(lambda: slots_of(stack, "current"), "there are two slots of this version")
    ledger.until_executed(JOBS // 2)

    stack.become("earlier")
    ledger.until_executed(3 * JOBS // 4)
    assert stack.slots() == renewed, "slots of this version work with the earlier API"

    stack.become("current")
    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_max <= 2, "what the killed slots had not reported ran again"


def slots_of(stack: TwoVersions, version: str) -> list[psutil.Process] | None:
    """The slots of a stack, if there are two and both are of a version."""
    slots = stack.slots()
    is_whole = len(slots) == 2 and all(stack.is_of(version, each) for each in slots)
    return slots if is_whole else None


@pytest.mark.parametrize(("client", "server"), [("earlier", "current"), ("current", "earlier")])
def test_a_client_of_another_version(
    stack: TwoVersions, earlier: str, tmp_path: Path, client: str, server: str
) -> None:
    """A program does the same with a server that is older or newer than it."""
    if server == "current":
        stack.become(server)
    program = tmp_path / "program.py"
    program.write_text(USE, encoding="utf-8")

    done = subprocess.run(
        [earlier if client == "earlier" else sys.executable, str(program)],
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stdout == "all of it\n", done.stderr
