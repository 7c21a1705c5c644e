#!/usr/bin/env bash
# cProfile (Python 3.8 to 3.13): of functions with the same file, line and name pstats keeps one; the time of the others is gone.
#
# A profiler counts each code object by itself: getstats() has an entry for every one. For pstats they become keys of
# (file, line, name), and where two are equal one replaces the other instead of being added to it. Code that is
# generated has equal keys all the time: each __init__ of a dataclass is line 2 of "<string>" (attrs gives every class a
# file of its own, and loses nothing). The sums are wrong without a warning: calls and seconds are missing, and a flame
# graph drawn from pstats does not add up. Until 3.11 the function that was called last is kept, since 3.12 any of
# them. getstats() is right: who writes profiles has to add up before pstats does.
#
# Seen (CPython 3.11.7 and 3.13.0; attrs 25.4.0 beside dataclasses):
#     dataclasses: getstats() has 3 functions with 60 calls, pstats has 1 function, calls are missing
#     attrs: getstats() has 3 functions with 60 calls, pstats has 3 functions, no call is missing
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check attrs==25.4.0
cat > "$work/program.py" <<'PY'
import cProfile
import dataclasses
import pstats

import attr


def classes_of_dataclasses():
    @dataclasses.dataclass
    class A:
        x: int

    @dataclasses.dataclass
    class B:
        x: int

    @dataclasses.dataclass
    class C:
        x: int

    return A, B, C


def classes_of_attrs():
    @attr.s(auto_attribs=True)
    class A:
        x: int

    @attr.s(auto_attribs=True)
    class B:
        x: int

    @attr.s(auto_attribs=True)
    class C:
        x: int

    return A, B, C


def tell(name, classes):
    profile = cProfile.Profile()
    profile.enable()
    for calls, each in zip((10, 20, 30), classes, strict=True):
        for _ in range(calls):
            each(1)
    profile.disable()
    counted = [e.callcount for e in profile.getstats() if getattr(e.code, "co_name", "") == "__init__"]
    kept = [entry[1] for key, entry in pstats.Stats(profile).stats.items() if key[2] == "__init__"]
    print(f"{name}: getstats() has {len(counted)} functions with {sum(counted)} calls, "
          f"pstats has {len(kept)} function{'s' * (len(kept) > 1)}, "
          f"{'calls are' if sum(kept) < sum(counted) else 'no call is'} missing")


tell("dataclasses", classes_of_dataclasses())
tell("attrs", classes_of_attrs())
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
expected='dataclasses: getstats() has 3 functions with 60 calls, pstats has 1 function, calls are missing
attrs: getstats() has 3 functions with 60 calls, pstats has 3 functions, no call is missing'
[ "$seen" = "$expected" ] || { echo "changed: other functions are kept"; exit 1; }
