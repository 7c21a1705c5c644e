#!/usr/bin/env bash
# lithops 3.6.4: get_result leaves out the results that are None, and returns all earlier results for an empty map.
#
# `FunctionExecutor.get_result(fs)` looks like `[future.result() for future in fs]`, but it reads only the futures whose
# worker reported that it stored an output, and a worker stores none for a function that returned None. The list is then
# shorter than the map and nothing says which item is missing, so that `zip(items, results)` pairs items with the
# results of others. Its futures, asked one by one, do have the None.
# An empty list of futures counts as "none given": `get_result(map(f, []))` returns what *all* maps of this executor
# have returned before. A program that ports a loop from Lithops has to expect neither elsewhere.
#
# Seen (lithops 3.6.4, localhost backend, Python 3.11):
#   map:     [1, 3, 5]        five items, of which two are None
#   futures: [1, None, 3, None, 5]
#   empty:   [1, 3, 5]        results of the earlier map
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lithops==3.6.4
cat > "$work/program.py" <<'PY'
import lithops


def odd(number):
    return number if number % 2 else None


if __name__ == "__main__":
    executor = lithops.FunctionExecutor(backend="localhost", storage="localhost", log_level="CRITICAL")
    futures = executor.map(odd, [1, 2, 3, 4, 5])
    print("map:", executor.get_result(futures))
    print("futures:", [future.result() for future in futures])
    print("empty:", executor.get_result(executor.map(odd, [])))
PY
# Lithops starts workers with the `python` of PATH and keeps its files below HOME and TMPDIR.
seen=$(cd "$work" && HOME="$work" TMPDIR="$work" PATH="$work/venv/bin:$PATH" timeout 120 python program.py 2>"$work/errors") || { cat "$work/errors"; exit 1; }
grep . <<<"$seen"
grep -qx 'futures: \[1, None, 3, None, 5\]' <<<"$seen" || { echo "changed: the futures differ"; exit 1; }
grep -qx 'map: \[1, 3, 5\]' <<<"$seen" || { echo "changed: get_result keeps None now"; exit 1; }
grep -qx 'empty: \[1, 3, 5\]' <<<"$seen" || { echo "changed: an empty map returns something else"; exit 1; }
