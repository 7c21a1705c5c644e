"""`picloud admin`."""

from __future__ import annotations

import re
import uuid
from pathlib import Path  # noqa: TC003 - typer reads annotations when it runs
from typing import Annotated

import msgspec
import typer
from cloud import CloudException
from cloud._client.current import client
from cloud._client.local_server import refuse_windows
from cloud._resources.grant import GrantClient
from picloud_model.wire.grant import GrantRequest

from picloud import exits, output, tables
from picloud.environments import desktop
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it
from picloud.stack import password_reset, secret_source
from picloud.stack.data_dir import StackName, default

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)
app.command("reset-password")(password_reset.reset)
app.command("secret-source")(secret_source.define)
app.command("secret-sources")(secret_source.list_sources)
app.command("remove-secret-source")(secret_source.remove)
app.command("desktop")(desktop.build)

_ACCOUNT = re.compile("a[0-9a-z]{1,30}")
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")

Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="Id of the account, from `picloud account list`.")
]
GrantNumber = Annotated[
    int, typer.Argument(metavar="GRANT", min=1, help="Number of the grant in the account.")
]


@app.callback()
def admin() -> None:
    """Operate PiCloud and the servers that it runs on.

    \b
    Examples:
      $ picloud admin doctor
      $ picloud admin bootstrap --plan --keys /root/picloud
      $ picloud admin rotate --keys /root/picloud
      $ picloud admin jobspec --count 2
      $ picloud admin grant a1b2c3d4 --dollars 100 --until 2027-06-30
      $ picloud admin capacity --keys /root/picloud --group c1=picloud-clients-c1
    """  # noqa: D301 - \b keeps the lines apart


@app.command()
def doctor(
    context: typer.Context,
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Data directory; by default those of both stacks that exist.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    job: Annotated[
        bool, typer.Option("--job", help="Run a job, too, which takes a jid; it is deleted.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Check everything that PiCloud needs on this machine, and say what to do.

    Each line is a check: "ok" and what works, or "problem" and what to do. Checked are the data
    directory, its disk and files, the servers and their certificates, the profile that `import
    cloud` uses. Nothing is changed. The exit code is 1 if there is a problem.

    \b
    Examples:
      $ picloud admin doctor
      $ picloud admin doctor --data /tmp/cloud --job
    """  # noqa: D301 - \b keeps the lines apart
    refuse_windows()
    from picloud.stack.doctor import examine, examine_client, is_used  # noqa: PLC0415 - see `up`

    own = [data.absolute()] if data else [each for each in map(default, StackName) if is_used(each)]
    sections = {f"PiCloud in {each}": examine(each, job=job) for each in own}
    sections["Programs of this user"] = iter([examine_client(context.obj)])
    rows = []
    for heading, findings in sections.items():
        if not json:
            output.text(heading)
        for finding in findings:
            mark = "ok" if finding.ok else "problem"
            if not json:
                # At once: a check may take some seconds.
                output.text(f"  {mark:<8} {finding.check:<13} {finding.detail}")
            rows.append({"part": heading, **msgspec.structs.asdict(finding)})
    if json:
        output.as_json(rows)
    if not own:
        usual = f"{default(StackName.EMBEDDED)} has no data of a server"
        output.hint(f"{usual}, so none was checked; --data DIR names another directory.")
    problems = sum(not row["ok"] for row in rows)
    if problems:
        output.hint(f"{problems} of {len(rows)} checks found a problem.")
        raise typer.Exit(exits.OTHER)


@app.command()
def bootstrap(
    *,
    keys: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Directory for the keys of the cluster.", file_okay=False),
    ],
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what would be made; change nothing.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over what another cluster has left there.")
    ] = False,
) -> None:
    """Prepare servers that are already running for PiCloud.

    The servers are those that CONSUL_HTTP_ADDR, VAULT_ADDR, PICLOUD_S3_BUCKET, NOMAD_ADDR and
    NATS_URL name, with tokens of administrators; a new Consul or Nomad needs none. This makes
    policies, secrets engines, a bucket, and tokens and keys that allow the API what it needs. The
    directory has them afterwards, and a file of variables for the API.

    What exists is not made again, so the command can be repeated, and goes on if it was
    interrupted. It changes nothing if one of the servers has an old version, or holds data of
    another cluster or program.

    \b
    Examples:
      $ picloud admin bootstrap --plan --keys /root/picloud
      $ picloud admin bootstrap --keys /root/picloud
    """  # noqa: D301 - \b keeps the lines apart
    refuse_windows()
    from picloud.stack.bootstrap import run  # noqa: PLC0415 - other commands do not need its imports

    run(keys.absolute(), plan=plan, adopt=adopt)


@app.command()
def rotate(
    *,
    keys: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Directory of the cluster's keys.", file_okay=False),
    ],
    gossip: Annotated[
        bool, typer.Option("--gossip", help="Replace the gossip keys of Consul and Nomad instead.")
    ] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="End what was replaced before; make nothing new.")
    ] = False,
) -> None:
    """Replace the API's tokens in Consul, Vault and Nomad, its key of S3, or keys of gossip.

    The servers are named as for `picloud admin bootstrap`, which has made the present tokens. The
    old ones stay valid, so nothing is interrupted: start every API again with the new file of
    variables, then end the old ones with --revoke. Both can be repeated.

    With --gossip, all servers encrypt what they tell each other with new keys, at once and without
    a restart. Give the keys to machines that start from then on, then end the old ones.

    \b
    Examples:
      $ picloud admin rotate --keys /root/picloud
      $ picloud admin rotate --keys /root/picloud --revoke
      $ picloud admin rotate --keys /root/picloud --gossip
    """  # noqa: D301 - \b keeps the lines apart
    refuse_windows()
    from picloud.stack.bootstrap import rotate as run  # noqa: PLC0415 - as in bootstrap

    run(keys.absolute(), gossip=gossip, revoke=revoke)


@app.command()
def jobspec(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND ...]",
            help="Program that starts the API on its machine; by default that of the node image.",
            show_default=False,
        ),
    ] = None,
    *,
    count: Annotated[int, typer.Option(help="Number of machines that run the API.")] = 1,
    canaries: Annotated[
        int, typer.Option(help="Machines that run a new version first; 0 to upgrade in place.")
    ] = 1,
    port: Annotated[int, typer.Option(help="Port of the API.")] = 8787,
    pool: Annotated[str, typer.Option(help="Node pool of the machines.")] = "picloud-api",
    namespace: Annotated[str, typer.Option(help="Namespace of the job.")] = "default",
    healthy: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            help="In which a new version has to be healthy, or the old one stays.",
        ),
    ] = 120,
) -> None:
    """Print a jobspec that runs the API on Nomad.

    Nomad checks the health of the API. If you run the jobspec with another command, the new version
    has to become healthy on other machines first; then the old one ends, and if it does not become
    healthy, the old one stays. No token is in a jobspec: the command finds them on its machine.

    \b
    Examples:
      $ picloud admin jobspec --count 2 > api.nomad.hcl
      $ picloud admin jobspec --count 2 -- /opt/picloud/boot/run api /opt/picloud/1.1/venv
    """  # noqa: D301 - \b keeps the lines apart
    from picloud_jobspecs.api import ApiService, api_jobspec  # noqa: PLC0415 - as in bootstrap
    from picloud_model.errors import PiCloudError  # noqa: PLC0415 - as above

    service = ApiService(
        count=count,
        canaries=canaries,
        command=tuple(command or ()) or ApiService().command,
        port=port,
        pool=pool,
        namespace=namespace,
        healthy_s=healthy,
    )
    try:
        text = api_jobspec(service)
    except PiCloudError as error:
        raise CloudException(error.message) from error
    output.text(text.rstrip("\n"))


@app.command("grant")
def make_grant(
    account: Account,
    *,
    until: Annotated[
        str,
        typer.Option(metavar="DAY", help="Last day in UTC: 2027-06-30.", show_default=False),
    ],
    dollars: Annotated[
        float | None, typer.Option(metavar="DOLLARS", help="The amount in dollars.")
    ] = None,
    core_hours: Annotated[
        float | None,
        typer.Option("--core-hours", metavar="HOURS", help="Or in core hours."),
    ] = None,
    core_type: Annotated[
        str | None,
        typer.Option(
            "--type", "-t", metavar="TYPE", help="Core type of the core hours; without it, any."
        ),
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What the grant is for.")] = "",
    json: AsJson = False,
) -> None:
    """Let an account use dollars or core hours without paying, until a day.

    The grant is for jobs that are created from today on. It is used after the free core hours of
    the month; of several grants, the one that ends first is used first.

    \b
    Examples:
      $ picloud admin grant a1b2c3d4 --dollars 100 --until 2027-06-30 --note academic
      $ picloud admin grant a1b2c3d4 --core-hours 500 --type c1 --until 2026-12-31
    """  # noqa: D301 - \b keeps the lines apart
    _check_grant(account, until)
    if (dollars is None) == (core_hours is None):
        raise typer.BadParameter("give either --dollars or --core-hours.", param_hint="--dollars")
    amount = core_hours if dollars is None else dollars
    if amount is not None and not amount > 0:
        option = "--core-hours" if dollars is None else "--dollars"
        raise typer.BadParameter("has to be more than 0.", param_hint=option)
    request = GrantRequest(
        request_id=uuid.uuid4().hex,
        account=account,
        until=until,
        dollars=dollars,
        core_hours=core_hours,
        core_type=core_type,
        note=note,
    )
    made = GrantClient(client().transport).grant(request)
    if json:
        output.as_json(msgspec.structs.asdict(made))
    else:
        output.text(str(made.id))
        output.hint(f"{made.amount} until {made.until}.")


@app.command("grants")
def list_grants(account: Account, *, json: AsJson = False) -> None:
    """List the grants of an account, also those that have ended.

    What is left of them is in `picloud usage --by month` of the account.

    \b
    Examples:
      $ picloud admin grants a1b2c3d4
    """  # noqa: D301 - \b keeps the lines apart
    _check_grant(account)
    found = GrantClient(client().transport).list(account).grants
    if json:
        output.as_json([msgspec.structs.asdict(each) for each in found])
        return
    rows = [(each.id, each.amount, each.since, each.until, each.note) for each in found]
    columns = tables.Columns(("grant", "amount", "since", "until", "note"), flexible=("note",))
    tables.show(columns, rows, empty="No grants.")


@app.command("end-grant")
def end_grant(account: Account, number: GrantNumber) -> None:
    """Let today be the last day of a grant (in UTC), unless it has ended.

    \b
    Examples:
      $ picloud admin end-grant a1b2c3d4 2
    """  # noqa: D301 - \b keeps the lines apart
    _check_grant(account)
    GrantClient(client().transport).end(account, number)


def _check_grant(account: str, until: str | None = None) -> None:
    """Refuse an account or a day that cannot be one, before any request."""
    if not _ACCOUNT.fullmatch(account):
        raise typer.BadParameter(
            f"{account!r} is not the id of an account; `picloud account list` shows them.",
            param_hint="ACCOUNT",
        )
    if until is not None and not _DAY.fullmatch(until):
        raise typer.BadParameter(
            f"{until!r} is not a day: write it as 2027-06-30.", param_hint="--until"
        )


@app.command()
def capacity(
    context: typer.Context,
    *,
    keys: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Directory of the cluster's keys.", file_okay=False),
    ],
    group: Annotated[
        list[str],
        typer.Option(
            metavar="TYPE=NAME", help="A core type, and the autoscaling group of its machines."
        ),
    ],
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=1.0,
            help="Change the groups, again and again at this interval.",
            show_default=False,
        ),
    ] = None,
    calm: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="For how long fewer machines have to be enough before one ends."
        ),
    ] = 600.0,
    drain: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="How long the jobs of a machine that is to end may run on."
        ),
    ] = 3600.0,
) -> None:
    """Let the number of machines at AWS follow the work.

    Without --every it shows how many machines each core type has, and how many the present work
    could use. With it, groups grow at once, within their bounds. A machine that has not been needed
    for a while gets no further slots, and ends once it is empty.

    The server is that of the profile, with a key of an administrator; Nomad is the one that
    NOMAD_ADDR names. It needs the rights that Terraform gives API machines.

    \b
    Examples:
      $ picloud admin capacity --keys /root/picloud --group c1=picloud-clients-c1
      $ picloud admin capacity --keys /root/picloud --group c1=picloud-clients-c1 --every 30
    """  # noqa: D301 - \b keeps the lines apart
    refuse_windows()
    from picloud.stack import capacity as sizes  # noqa: PLC0415 - as in bootstrap

    names = sizes.names_of(group)
    context.obj.apply()
    sizes.run(names, keys.absolute(), sizes.Rules(every_s=every, calm_s=calm, drain_s=drain))
