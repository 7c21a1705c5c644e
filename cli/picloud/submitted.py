"""What is printed of jobs just made: their jids; in the simulator their results."""

from __future__ import annotations

import cloud

from picloud import output, results


def tell(jids: range, *, json: bool) -> None:
    """Print jids as every other command reads them.

    The simulator ends with this command, and its jids with it: their results are printed instead.
    """
    if not jids:
        if json:
            output.as_json({"jids": []})
        output.hint("No values, no jobs.")
    elif cloud.is_simulated():
        results.show(jids, json=json)
    elif json:
        output.as_json({"jids": list(jids)})
    else:
        output.text(written(jids))


def written(jids: range) -> str:
    """Jids as the command line writes them.

    >>> written(range(7, 8)), written(range(7, 10))
    ('7', '7-9')
    """
    return str(jids[0]) if len(jids) == 1 else f"{jids[0]}-{jids[-1]}"
