#!/usr/bin/env bash
# objgraph 3.7.0: after gc.freeze() an object that a module's dictionary holds has no instances, no referrers and no chain.
#
# Servers that fork freeze the heap first (gc.freeze) so that children share its pages. From then on whoever looks for a
# leak is told that there is none: objgraph counts the objects that gc.get_objects() lists and asks gc.get_referrers(), and
# neither looks into the permanent generation. The count of a class is 0 while an instance is in use, and the chain that
# should explain what keeps an object alive is the object alone, which reads as "nothing holds it". Holders that were made
# after the freeze are found, those before are not. gc.unfreeze() makes the answers right again; gc.get_freeze_count() tells
# whether to distrust them.
#
# Seen (objgraph 3.7.0, CPython 3.11): instances, holders and the chain that keeps the object alive
#     before 1 1 module dict dict Kept
#     frozen 0 0 Kept
#     newer 0 1
#     thawed 1 2
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check objgraph==3.7.0
cat > "$work/program.py" <<'PY'
import gc

import objgraph


class Kept:
    pass


def show(when):
    kept = registry["kept"]
    names = [type(each).__name__ for each in objgraph.find_backref_chain(kept, objgraph.is_proper_module)]
    holders = [each for each in gc.get_referrers(kept) if each is registry or each is newer]
    print(when, objgraph.count("Kept"), len(holders), *names)


registry = {"kept": Kept()}
newer = None
show("before")
gc.freeze()
show("frozen")
newer = [registry["kept"]]
print("newer", objgraph.count("Kept"), sum(each is newer for each in gc.get_referrers(registry["kept"])))
gc.unfreeze()
print("thawed", objgraph.count("Kept"), sum(each in (registry, newer) for each in gc.get_referrers(registry["kept"])))
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: frozen objects are found, or others are not"; exit 1; }
before 1 1 module dict dict Kept
frozen 0 0 Kept
newer 0 1
thawed 1 2
SEEN
