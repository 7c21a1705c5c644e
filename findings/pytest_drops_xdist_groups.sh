#!/usr/bin/env bash
# pytest 9.2.0 makes pytest-xdist 3.8.0 forget its groups: --dist loadgroup runs, passes, and keeps no group together.
#
# xdist's worker writes a test's group into Item._nodeid ("...::test@group") and the controller reads it back from the
# node ids that it receives. Since pytest 9.2 Item.nodeid comes from another attribute, so the suffix is written and never
# seen: the tests of a group go to any worker, without an error or a warning. What a group protects (one server, one port,
# one file) is used by several processes at once, and a session fixture is set up once in each. Releases of the two are
# independent and pip installs the pair. Only the ids in the verbose report tell: they end in no "@group".
#
# Seen (pytest-xdist 3.8.0, two workers, twenty tests in each of two groups): the workers that ran each group
#     pytest 9.1.1: group a in 1, group b in 1
#     pytest 9.2.0: group a in 2, group b in 2
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir "$work/tests"
cat > "$work/tests/test_groups.py" <<'PY'
import os
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "group",
    [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in "ab" for _ in range(20)],
)
def test_group(group: str) -> None:
    time.sleep(0.02)
    Path(os.environ["RAN"], f"{group}-{os.environ['PYTEST_XDIST_WORKER']}").touch()
PY
workers() {
    python3 -m venv "$work/$1"
    "$work/$1/bin/pip" install --quiet --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
    mkdir "$work/ran-$1"
    (cd "$work/tests" && RAN="$work/ran-$1" "$work/$1/bin/python" -m pytest -q -p no:cacheprovider -n 2 --dist loadgroup) \
        > "$work/log" || { cat "$work/log"; exit 1; }
    echo "pytest $1: group a in $(find "$work/ran-$1" -name 'a-*' | wc -l), group b in $(find "$work/ran-$1" -name 'b-*' | wc -l)"
}
seen=$(workers 9.1.1; workers 9.2.0)
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: the pair treats groups otherwise"; exit 1; }
pytest 9.1.1: group a in 1, group b in 1
pytest 9.2.0: group a in 2, group b in 2
SEEN
