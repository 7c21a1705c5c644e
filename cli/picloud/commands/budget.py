"""`picloud budget`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from cloud import budget
from cloud._costs.usage import usage
from picloud_model.errors import nearest_name
from picloud_model.wire.budget import BUDGET_ACTIONS, words
from picloud_model.wire.usage import money

from picloud import output, tables, units
from picloud.completion import values
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson, choice

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)
_LABELS_OF_S = 30 * 86_400
_STOPPED = {
    "refuse": "new jobs are refused",
    "kill": "new jobs are refused and unfinished ones killed",
}

Per = Annotated[
    str | None,
    typer.Option(
        "--per",
        metavar="PERIOD",
        help="day or month, in UTC; without it, the amount is for all jobs from now on.",
        autocompletion=values.budget_periods,
    ),
]
Label = Annotated[
    str | None,
    typer.Option("--label", "-l", metavar="LABEL", help="Only jobs with this label count."),
]
Account = Annotated[
    str | None,
    typer.Option(
        "--account", metavar="ID", help="As an administrator: a cap of this account, by its id."
    ),
]


@app.callback()
def budgets() -> None:
    """Limit what your jobs may cost.

    A budget limits what all of your jobs, or those with a label, cost: per day, per month or in
    total. When it is spent, new jobs are refused, unfinished ones are killed as well, or you are
    only warned.

    \b
    Examples:
      $ picloud budget set 20 --per month
      $ picloud budget set 1.50 --label training --action kill
      $ picloud budget list
    """  # noqa: D301 - \b keeps the lines apart


@app.command("set")
def set_budget(
    dollars: Annotated[str, typer.Argument(metavar="DOLLARS", help="The amount: 20 or $20.")],
    *,
    per: Per = None,
    label: Label = None,
    action: Annotated[
        str,
        typer.Option(
            "--action",
            metavar="ACTION",
            help="What happens when it is spent: refuse, kill or warn.",
            autocompletion=values.budget_actions,
        ),
    ] = "refuse",
    account: Account = None,
    json: AsJson = False,
) -> None:
    """Set a budget, in place of an earlier one for the same period and label.

    You are also warned when 80 % is spent. Jobs count for the day or month in which they were
    created.

    \b
    Examples:
      $ picloud budget set 20 --per month
      $ picloud budget set 1.50 --label training --action kill
      $ picloud budget set 100 --per month --account a1b2c3d4
    """  # noqa: D301 - \b keeps the lines apart
    choice(action, BUDGET_ACTIONS, "an action", "--action")
    found = budget.set(dollars, _period(per), label=label, action=action, account=account)
    if json:
        output.as_json(_fields(found))
    else:
        spent, amount = money(found["spent"]), money(found["dollars"])
        each = words(found["per"] or "total", found["label"])
        output.hint(f"{spent} of {amount} {each} is spent.")
        if not found["left"] and action != "warn":
            output.hint(f"It is reached, so {_STOPPED[action]} from now on.")
    if label is not None and account is None:
        _check_label(label)


@app.command("list")
def list_budgets(*, account: Account = None, json: AsJson = False) -> None:
    """List budgets, with what is spent and left of them.

    \b
    Examples:
      $ picloud budget list
    """  # noqa: D301 - \b keeps the lines apart
    found = budget.list(account)
    if json:
        output.as_json([_fields(each) for each in found])
        return
    now = time.time()
    rows = [
        (
            each["label"] or "all jobs",
            each["per"] or "in all",
            money(each["dollars"]),
            money(each["spent"]),
            money(each["left"]),
            each["action"],
            units.moment(each["since"].timestamp(), now),
            "the operator" if each["cap"] else "you" if account is None else "its owner",
        )
        for each in found
    ]
    columns = ("label", "per", "budget", "spent", "left", "action", "since", "set by")
    tables.show(tables.Columns(columns, flexible=columns[:1]), rows, empty="No budgets.")


@app.command("remove")
def remove_budget(*, per: Per = None, label: Label = None, account: Account = None) -> None:
    """Remove the budget of a period and label.

    \b
    Examples:
      $ picloud budget remove --per month
      $ picloud budget remove --label training
    """  # noqa: D301 - \b keeps the lines apart
    budget.remove(_period(per), label=label, account=account)


def _period(per: str | None) -> str | None:
    """Return a period that exists, or None."""
    return None if per is None else choice(per, values.budget_periods(""), "a period", "--per")


def _check_label(label: str) -> None:
    """Say that no job has a label, which may be misspelt."""
    known = {row.group for row in usage(_LABELS_OF_S)} - {""}
    if label not in known:
        near = nearest_name(label, known)
        hint = f"; did you mean {near!r}?" if near else "."
        output.hint(f"No job of the last 30 days has the label {label!r}{hint}")


def _fields(found: Mapping[str, Any]) -> dict[str, Any]:
    return {**found, "since": units.iso(found["since"].timestamp())}
