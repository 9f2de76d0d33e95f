"""`wattsplit key`: who may ask the running service for what."""

from typing import Annotated, Any, Literal

import typer

from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Create, list and revoke keys of the running service.", no_args_is_help=True)

COLUMNS = ("key_id", "role", "label", "sites", "expires_at", "last_used_at", "revoked_at")


@app.command()
def create(
    role: Annotated[Literal["controller", "feed", "planner", "operator", "admin"], typer.Argument(help="What the key may do.")],
    label: Annotated[str, typer.Option(help="Whose key it is, for people.")],
    site: Annotated[list[str] | None, typer.Option(help="A controller's site; may be repeated.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Lifetime; the longest that the role allows if absent.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Create a key and print it; it cannot be shown again.

    Example: `wattsplit key create controller --site pecos --label "pecos gateway"`
    """
    from service.cli.running import running

    content: dict[str, Any] = {"role": role, "label": label, "sites": site or []}
    if days is not None:
        content["lifetime_days"] = days
    answer = running("admin").post("/v1/keys", content)
    say = Say(as_json, quiet)
    say.result(answer, lambda console: console.print(answer["token"], markup=False, soft_wrap=True))
    say.note(
        f"key {answer['key']['key_id']} of role {role}, until {answer['key']['expires_at']}; keep it now, it is not shown again"
    )


@app.command("list")
def list_(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List keys, without their secrets.

    Example: `wattsplit key list`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table

    keys = list(running("admin").list("/v1/keys"))
    Say(as_json, quiet).result(keys, lambda console: console.print(rows_table(keys, COLUMNS)))


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as `key list` shows it.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Revoke a key at once.

    Example: `wattsplit key revoke 4f0c…`
    """
    from service.cli.running import running

    answer = running("admin").delete(f"/v1/keys/{key_id}")
    Say(as_json, quiet).result(answer, lambda console: console.print(f"key {key_id} is revoked"))
