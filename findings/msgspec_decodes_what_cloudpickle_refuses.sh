#!/usr/bin/env bash
# msgspec 0.23.0 with cloudpickle 3.1.3: once msgspec has decoded into a class of a script, that class can no longer be
# sent.
#
# msgspec notes what it knows of a dataclass, an attrs class, a NamedTuple or a TypedDict in the class itself, as
# `__msgspec_cache__`, at the first decode or at the first decoder that names the class. The note is an object of C that
# has no pickle. cloudpickle sends a class of `__main__` with all its attributes, so from then on it refuses the class,
# its objects (those of a TypedDict are plain dicts) and each function that names it ("cannot pickle
# 'msgspec._core.DataclassInfo' object"). Encoding leaves no note. A program that reads its input with msgspec and then hands the items to Dask, Ray or joblib fails, and the
# same program with made-up items passes; whether a notebook's cell works depends on which cells ran before. Pickle of
# the standard library names the class instead, and takes it. `del Class.__msgspec_cache__` before the send makes the
# class whole again: msgspec notes it anew when it has to. msgspec's own Struct keeps no note and is always sent, but it
# arrives without its fields, as its metaclass reads them before cloudpickle has filled the class: what is to travel
# belongs in an imported module.
#
# Seen (msgspec 0.23.0, cloudpickle 3.1.3, attrs 26.1.0, CPython 3.11): new, after an encode, after a decode, without the note
#     dataclass: sent, sent, TypeError, sent
#     attrs: sent, sent, TypeError, sent
#     NamedTuple: sent, sent, TypeError, sent
#     TypedDict: sent, sent, TypeError, sent
#     Struct: sent, sent, sent
#     what arrives of the fields elsewhere: dataclass size, Struct none
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.23.0 cloudpickle==3.1.3 attrs==26.1.0
cat > "$work/program.py" <<'PY'
import subprocess
import sys
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import attrs
import cloudpickle
import msgspec


@dataclass
class AsDataclass:
    size: int


@attrs.define
class AsAttrs:
    size: int


class AsNamedTuple(NamedTuple):
    size: int


class AsTypedDict(TypedDict):
    size: int


class AsStruct(msgspec.Struct):
    size: int


def sent(kind):
    try:
        cloudpickle.dumps(kind)
    except TypeError:
        return "TypeError"
    return "sent"


for name, kind in (
    ("dataclass", AsDataclass),
    ("attrs", AsAttrs),
    ("NamedTuple", AsNamedTuple),
    ("TypedDict", AsTypedDict),
    ("Struct", AsStruct),
):
    states = [sent(kind)]
    encoded = msgspec.msgpack.encode(kind(size=3))
    states.append(sent(kind))
    msgspec.msgpack.decode(encoded, type=kind)
    states.append(sent(kind))
    if "__msgspec_cache__" in vars(kind):
        del kind.__msgspec_cache__
        states.append(sent(kind))
    print(f"{name}: {', '.join(states)}")


def fields():
    return f"dataclass {' '.join(AsDataclass.__match_args__)}, Struct {' '.join(AsStruct.__struct_fields__) or 'none'}"


load = "import pickle, sys; print(pickle.load(sys.stdin.buffer)())"
there = subprocess.run([sys.executable, "-c", load], input=cloudpickle.dumps(fields), capture_output=True, check=True)
print("what arrives of the fields elsewhere:", there.stdout.decode().strip())
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: a class is sent otherwise after msgspec has decoded into it"; exit 1; }
dataclass: sent, sent, TypeError, sent
attrs: sent, sent, TypeError, sent
NamedTuple: sent, sent, TypeError, sent
TypedDict: sent, sent, TypeError, sent
Struct: sent, sent, sent
what arrives of the fields elsewhere: dataclass size, Struct none
SEEN
