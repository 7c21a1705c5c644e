"""`picloud admin secret-source`, `secret-sources` and `remove-secret-source`."""

from __future__ import annotations

import re
import time
from typing import Annotated

import msgspec
import typer
from cloud._client.current import client
from cloud._resources.secret_source import SecretSourceClient
from picloud_model.wire.secret_source import PATH_PATTERN, PutSecretSourceRequest

from picloud import output, tables, units
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the source, for `_secrets`.")]


Path = Annotated[
    str,
    typer.Option(metavar="PATH", help="Engine in Vault, and its credentials: database/creds."),
]
Role = Annotated[str, typer.Option(metavar="ROLE", help="Role of the engine.")]
Variables = Annotated[
    list[str],
    typer.Option(
        metavar="VARIABLE=FIELD",
        help="Variable of a job, and the field that it holds (repeatable).",
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE", help="Parameter for the role (repeatable).", show_default=False
    ),
]
Accounts = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ACCOUNT", help="Account that may name it (repeatable).", show_default=False
    ),
]
AsFile = Annotated[
    bool, typer.Option("--as-file", help="Give jobs paths of files that hold the fields.")
]
AllAccounts = Annotated[bool, typer.Option("--all-accounts", help="Let every account name it.")]


def define(
    name: Name,
    *,
    path: Path,
    role: Role,
    variable: Variables,
    parameter: Parameters = None,
    as_file: AsFile = False,
    account: Accounts = None,
    all_accounts: AllAccounts = False,
) -> None:
    """Define what mints a secret for each job that names it, with Vault.

    Just before such a job begins, Vault makes credentials by the role; they are revoked when the
    job has ended. The role is tried at once. Without parameters it is read, else written to. The
    policy picloud-sources of Vault has to allow that, and what is made has to have a lease.

    \b
    Examples:
      $ picloud admin secret-source db --path database/creds --role reports
            --variable DB_USER=username --variable DB_PASSWORD=password --account a1b2c3d4
      $ picloud admin secret-source tls --path pki/issue --role jobs --all-accounts
            --parameter common_name=job.internal --as-file --variable TLS_CERT=certificate
            --variable TLS_KEY=private_key
    """  # noqa: D301 - \b keeps the lines apart
    if bool(account) == all_accounts:
        raise typer.BadParameter("give either --account or --all-accounts.", param_hint="--account")
    if not re.fullmatch(PATH_PATTERN, path):
        message = f"{path!r} is not a path in Vault: write it as database/creds."
        raise typer.BadParameter(message, param_hint="--path")
    request = PutSecretSourceRequest(
        name=name,
        path=path,
        role=role,
        variables=_assigned(variable, "--variable"),
        parameters=_assigned(parameter or [], "--parameter"),
        as_file=as_file,
        accounts=None if all_accounts else account,
    )
    SecretSourceClient(client().transport).put(request)


def list_sources(*, json: AsJson = False) -> None:
    """List what mints secrets for jobs, and which accounts may name it.

    \b
    Examples:
      $ picloud admin secret-sources
    """  # noqa: D301 - \b keeps the lines apart
    found = SecretSourceClient(client().transport).list()
    if json:
        output.as_json([msgspec.structs.asdict(each) for each in found])
        return
    now = time.time()
    rows = [
        (
            each.name,
            f"{each.path}/{each.role}",
            ", ".join(sorted(each.variables)),
            "all" if each.accounts is None else ", ".join(each.accounts),
            units.moment(each.defined_at, now),
        )
        for each in found
    ]
    columns = ("name", "role", "variables", "accounts", "defined")
    tables.show(tables.Columns(columns, flexible=columns[1:4]), rows, empty="No secret sources.")


def remove(name: Name) -> None:
    """Remove a source of secrets; jobs that name it and have not started will fail.

    \b
    Examples:
      $ picloud admin remove-secret-source db
    """  # noqa: D301 - \b keeps the lines apart
    SecretSourceClient(client().transport).remove(name)


def _assigned(texts: list[str], hint: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE.", param_hint=hint)
        if name in values:
            raise typer.BadParameter(f"{name} is given twice.", param_hint=hint)
        values[name] = value
    return values
