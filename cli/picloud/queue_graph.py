"""Drawings of queues and the handlers between them: as text, and as SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_WIDTH: Final = 210
_COLUMN: Final = 300
_ROW: Final = 112
_PLAIN: Final = 46
_HANDLED: Final = 85
_MARGIN: Final = 20
_LETTERS: Final = 28
"""How many letters fit into a box."""
_STYLE: Final = (
    "text{font:13px sans-serif;fill:#222}.q{font-weight:bold}.n{fill:#555;font-size:12px}"
    ".box{fill:#f4f7fb;stroke:#5b7fa8;stroke-width:1.5}.paused{fill:#f3f3f3;stroke:#999}"
    ".to{fill:none;stroke:#5b7fa8;stroke-width:1.5}.error{stroke:#c0392b;stroke-dasharray:5 4}"
)

_Place = str | tuple[str, str, int]
"""What has a place in a drawing: a queue, or an arrow between two in a column that it crosses."""


class _Queue(msgspec.Struct, frozen=True):
    """A queue as it is drawn: its texts, and the queues that its handler pushes into."""

    name: str
    messages: str
    handler: str = ""
    jobs: str = ""
    outputs: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    paused: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """All queues that its handler pushes into, each once."""
        return tuple(dict.fromkeys((*self.outputs, *self.errors)))

    @property
    def height(self) -> int:
        """The height of its box."""
        return _HANDLED if self.handler else _PLAIN


def text(pipeline: Sequence[Mapping[str, Any]], roots: Sequence[str] = ()) -> str:
    r"""Return a drawing for a terminal.

    Args:
        pipeline: What `cloud.queue.pipeline()` returns.
        roots: The names of the queues to begin with; by default those that no handler pushes into.

    >>> print(text([{"name": "in", "count": 2, "delayed": 0, "in_flight": 0,
    ...     "attachment": {"function": "f", "output_queues": ["out"], "error_queues": [],
    ...         "max_parallel_jobs": 1, "paused": False, "jids": []}},
    ...     {"name": "out", "count": 0, "delayed": 0, "in_flight": 0}]))
    in: 2 waiting
    │ f, 0 of 1 jobs
    └─> out: empty
    """
    queues = _queues(pipeline)
    lines: list[str] = []
    seen: set[str] = set()
    for name in roots or _roots(queues):
        if name in queues and name not in seen:
            lines += _tree(queues, name, seen)
    return "\n".join(lines)


def _tree(queues: Mapping[str, _Queue], root: str, seen: set[str]) -> Iterator[str]:
    """Yield the lines of a queue and of all that come after it; each is described once."""
    # What is still to be drawn: a queue, and what its first line and its others begin with.
    waiting = [(root, "", "")]
    while waiting:
        name, first, rest = waiting.pop()
        queue = queues[name]
        if name in seen:
            yield f"{first}{name}, as above" if queue.handler else f"{first}{name}"
            continue
        seen.add(name)
        yield f"{first}{name}: {queue.messages}"
        if queue.handler:
            yield f"{rest}{'│' if queue.targets else ' '} {queue.handler}, {queue.jobs}"
        targets = [target for target in queue.targets if target in queues]
        for target in reversed(targets):
            is_last = target == targets[-1]
            arrow = f"{'└' if is_last else '├'}{'─>' if target in queue.outputs else '─x'} "
            waiting.append((target, rest + arrow, f"{rest}{' ' if is_last else '│'}   "))


def svg(pipeline: Sequence[Mapping[str, Any]], roots: Sequence[str] = ()) -> str:
    """Return a drawing as SVG; see `text` for the arguments."""
    queues = _queues(pipeline)
    columns = _columns(queues, roots or _roots(queues))
    places: dict[_Place, tuple[int, int]] = {
        name: (_MARGIN + x * _COLUMN, _MARGIN + y * _ROW)
        for x, column in enumerate(columns)
        for y, name in enumerate(column)
    }
    width = 2 * _MARGIN + max(0, len(columns) - 1) * _COLUMN + _WIDTH
    height = 2 * _MARGIN + max(map(len, columns), default=1) * _ROW - (_ROW - _HANDLED)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">'
        ),
        f"<style>{_STYLE}</style>",
        (
            '<defs><marker id="end" markerWidth="9" markerHeight="8" refX="8" refY="4" '
            'orient="auto"><path d="M0,0 L9,4 L0,8 z" fill="#5b7fa8"/></marker></defs>'
        ),
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    drawn = [queue for name, queue in queues.items() if name in places]
    parts += [
        _arrow(queue, queues[target], places)
        for queue in drawn
        for target in queue.targets
        if target in places
    ]
    parts += [_box(queue, *places[queue.name]) for queue in drawn]
    return "\n".join([*parts, "</svg>", ""])


def _arrow(source: _Queue, target: _Queue, places: Mapping[_Place, tuple[int, int]]) -> str:
    """Return an arrow, which passes between the boxes of the columns that it crosses."""
    end_x, end_y = places[target.name]
    ways = [places[place] for place in places if place[:2] == (source.name, target.name)]
    points = [(x, y + _PLAIN // 2) for x, y in ways] + [(end_x, end_y + target.height // 2)]
    x, y = places[source.name][0] + _WIDTH, places[source.name][1] + source.height // 2
    path = f"M{x},{y}"
    for to_x, to_y in points:
        # An arrow back to the left is a wide curve.
        bend = (_COLUMN - _WIDTH) // 2 + (0 if to_x > x else (x - to_x) // 3)
        path += f" C{x + bend},{y} {to_x - bend},{to_y} {to_x},{to_y}"
        x, y = to_x + _WIDTH, to_y
        path += f" L{x},{y}" if to_x != end_x else ""
    kind = "to" if target.name in source.outputs else "to error"
    return f'<path class="{kind}" d="{path}" marker-end="url(#end)"/>'


def _box(queue: _Queue, x: int, y: int) -> str:
    lines = [("q", queue.name)]
    lines += [("n", line) for line in (queue.messages, queue.handler, queue.jobs)]
    texts = "".join(
        f'<text class="{kind}" x="{x + 12}" y="{y + 19 + 19 * at}">{escape(_cut(line))}</text>'
        for at, (kind, line) in enumerate(lines)
        if line
    )
    kind = "box paused" if queue.paused else "box"
    title = escape(f"{queue.name}: {queue.messages}\n{queue.handler}\n{queue.jobs}".strip())
    shape = (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{_WIDTH}" height="{queue.height}" rx="7"/>'
    )
    return f"<g><title>{title}</title>{shape}{texts}</g>"


def _cut(line: str) -> str:
    return line if len(line) <= _LETTERS else line[: _LETTERS - 1] + "…"


def _columns(queues: Mapping[str, _Queue], roots: Sequence[str]) -> list[list[_Place]]:
    """Return what is in each column: each queue is right of those that are pushed into it.

    An arrow that crosses a column has a place there.
    """
    order = _in_order(queues, roots)
    places = {name: place for place, name in enumerate(order)}
    depths = dict.fromkeys(order, 0)
    for name in order:
        for target in queues[name].targets:
            # An arrow to an earlier queue closes a circle.
            if places.get(target, 0) > places[name]:
                depths[target] = max(depths[target], depths[name] + 1)
    columns: list[list[_Place]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    for name, depth in depths.items():
        columns[depth].append(name)
        for target in queues[name].targets:
            for crossed in range(depth + 1, depths.get(target, 0)):
                columns[crossed].append((name, target, crossed))
    return columns


def _in_order(queues: Mapping[str, _Queue], roots: Sequence[str]) -> list[str]:
    """Return the queues that the roots lead to, each before those it leads to, circles aside."""
    done: list[str] = []
    seen: set[str] = set()
    waiting = [(name, False) for name in roots]
    while waiting:
        name, is_left = waiting.pop()
        if is_left:
            done.append(name)
        elif name in queues and name not in seen:
            seen.add(name)
            waiting.append((name, True))
            waiting += [(target, False) for target in queues[name].targets]
    return done[::-1]


def _roots(queues: Mapping[str, _Queue]) -> list[str]:
    """Return the queues to begin with: those before others, and one of each circle."""
    pushed = {
        target for queue in queues.values() for target in queue.targets if target != queue.name
    }
    roots = [name for name in queues if name not in pushed]
    reached: set[str] = set()
    for name in [*roots, *queues]:
        if name not in reached and name not in roots:
            roots.append(name)
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each in queues and each not in reached:
                reached.add(each)
                waiting += queues[each].targets
    return roots


def _queues(pipeline: Sequence[Mapping[str, Any]]) -> dict[str, _Queue]:
    return {each["name"]: _queue(each) for each in pipeline}


def _queue(info: Mapping[str, Any]) -> _Queue:
    counts = (
        (info["count"], "waiting"),
        (info["delayed"], "delayed"),
        (info["in_flight"], "in flight"),
    )
    listed = [f"{count:,} {what}" for count, what in counts if count] or ["empty"]
    rates = info.get("per_second", {})
    listed += [f"{rate:,g}/s {what}" for what, rate in rates.items() if rate]
    messages = ", ".join(listed)
    attached = info.get("attachment")
    if attached is None:
        return _Queue(info["name"], messages)
    jobs = f"{len(attached['jids'])} of {attached['max_parallel_jobs']} jobs"
    return _Queue(
        name=info["name"],
        messages=messages,
        handler=attached["function"],
        jobs="paused" if attached["paused"] else jobs,
        outputs=tuple(attached["output_queues"]),
        errors=tuple(attached["error_queues"]),
        paused=attached["paused"],
    )
