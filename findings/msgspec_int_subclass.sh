#!/usr/bin/env bash
# msgspec 0.22: a subclass of int or str cannot be encoded, though json takes both.
#
# json writes a subclass of int as its number. msgspec refuses it in both of its formats with a TypeError, while it takes an
# IntEnum; an enc_hook is the way around. So a library that returns numbers with methods (a job id, a typed identifier)
# breaks each user who puts one into a msgspec structure.
#
# Seen:
#     version 0.22.0
#     json.dumps: '7'
#     msgspec.json.encode: TypeError: Encoding objects of type Number is unsupported
#     msgspec.msgpack.encode: TypeError: Encoding objects of type Number is unsupported
#     an IntEnum: b'1'
#     a str subclass: TypeError: Encoding objects of type Text is unsupported
#     convert: 'int'
#     with a hook: b'{"a":7}'
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0
seen=$("$work/venv/bin/python" - <<'PY'
import enum
import json

import msgspec


class Number(int):
    pass


class Choice(enum.IntEnum):
    ONE = 1


def tried(name, function):
    try:
        print(f"{name}: {function()!r}")
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")


print("version", msgspec.__version__)
tried("json.dumps", lambda: json.dumps(Number(7)))
tried("msgspec.json.encode", lambda: msgspec.json.encode(Number(7)))
tried("msgspec.msgpack.encode", lambda: msgspec.msgpack.encode([Number(7)]))
tried("an IntEnum", lambda: msgspec.json.encode(Choice.ONE))
tried("a str subclass", lambda: msgspec.json.encode(type("Text", (str,), {})("a")))
tried("convert", lambda: type(msgspec.convert(Number(7), int)).__name__)
tried("with a hook", lambda: msgspec.json.encode({"a": Number(7)}, enc_hook=int))
PY
)
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: subclasses are encoded otherwise"; exit 1; }
version 0.22.0
json.dumps: '7'
msgspec.json.encode: TypeError: Encoding objects of type Number is unsupported
msgspec.msgpack.encode: TypeError: Encoding objects of type Number is unsupported
an IntEnum: b'1'
a str subclass: TypeError: Encoding objects of type Text is unsupported
convert: 'int'
with a hook: b'{"a":7}'
SEEN
