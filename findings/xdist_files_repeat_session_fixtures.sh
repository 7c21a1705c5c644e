#!/usr/bin/env bash
# pytest-xdist 3.8.0: with --dist loadfile a parametrized session fixture is set up once for each file, even on one worker.
#
# pytest sorts all tests by the parameters of session fixtures, so that six files over two servers start two servers. The
# modes loadfile and loadscope hand out a file at a time, whose tests of both parameters come together: at the end of
# each file the fixture of the last parameter is torn down for the first one of the next file. Instead of 2 set-ups there
# are 12, one worker or two; "session" means a file. load and worksteal keep pytest's order: 2 for each worker. The mode that
# is chosen so that files share what is dear makes what is dear cost most, and nothing says so but the durations.
#
# Seen (pytest 9.1.1, pytest-xdist 3.8.0): set-ups of a session fixture with two parameters, for six files of two tests
#     no workers: 2
#     one worker, load: 2
#     one worker, worksteal: 2
#     one worker, loadfile: 12
#     one worker, loadscope: 12
#     two workers, loadfile: 12
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.1.1 pytest-xdist==3.8.0
mkdir "$work/tests"
cat > "$work/tests/conftest.py" <<'PY'
import os

import pytest


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def server(request):
    with open(os.environ["STARTED"], "a") as log:
        log.write(f"{request.param}\n")
    yield request.param
PY
for number in 1 2 3 4 5 6; do
    printf 'def test_one(server): pass\n\n\ndef test_two(server): pass\n' > "$work/tests/test_$number.py"
done
show() {
    export STARTED="$work/started"; : > "$STARTED"
    (cd "$work/tests" && "$work/venv/bin/python" -m pytest -q -p no:cacheprovider "${@:2}") > "$work/log" \
        || { cat "$work/log"; exit 1; }
    echo "$1: $(wc -l < "$STARTED")"
}
seen=$(show "no workers"
for mode in load worksteal loadfile loadscope; do show "one worker, $mode" -n 1 --dist "$mode"; done
show "two workers, loadfile" -n 2 --dist loadfile)
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: set-ups are counted otherwise"; exit 1; }
no workers: 2
one worker, load: 2
one worker, worksteal: 2
one worker, loadfile: 12
one worker, loadscope: 12
two workers, loadfile: 12
SEEN
