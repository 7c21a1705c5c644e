"""Printing the jids of new jobs, or with the simulator their results."""

from __future__ import annotations

import cloud
from picloud_model.ranges import format_jids

from picloud import output, results


def show(jids: range, *, json: bool) -> None:
    """Print jids in the form that every other command reads.

    With the simulator, jobs end with this command: their results are printed instead.
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
        output.text(format_jids(jids))
