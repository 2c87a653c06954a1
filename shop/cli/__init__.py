"""The command line `shop`: what an operator does outside the browser."""

import os
from difflib import get_close_matches
from importlib import import_module

import click

COMMANDS = {  # where each command stands: its module is loaded when it is called, so that `up` stays small
    "up": "running.up",
    "demo": "running.demo",
    "openapi": "running.openapi",
    "db": "data.db",
    "import": "data.import_",
    "user": "people.user",
    "check": "watching.check",
    "report": "watching.report",
    "outbox": "watching.outbox",
}


class Commands(click.Group):
    """The commands of the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            near = get_close_matches(cmd_name, COMMANDS, n=1)
            ctx.fail(f"There is no command {cmd_name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        module, _, name = COMMANDS[cmd_name].partition(".")
        command: click.Command = getattr(import_module(f"shop.cli.{module}"), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def shop() -> None:
    """The open produce exchange of the East-West cooperation.

    \b
    Serve it with everything it needs     shop up
    Prepare a database                    shop db migrate, then shop user add-admin
    Prove that everything adds up         shop check
    Look at a report                      shop report procurement --group-by east_province,west_province
    See and retry work that failed        shop outbox parked / shop outbox retry EVENT
    """


def main() -> None:
    """Run the command line; a refusal becomes one sentence and exit code 1."""
    from config import served
    from config.settings import SettingsError
    from shop.errors import Refusal

    served.take_up()
    try:
        shop(prog_name="shop")
    except Refusal as refusal:
        raise SystemExit(f"{refusal.title} {refusal.detail}".strip()) from None
    except SettingsError as error:
        if not os.environ.get("SHOP_DATABASE_URL"):
            raise SystemExit(f"{error} Or serve the shop with `python3 run.py`: beside it none is wanted.") from None
        raise SystemExit(str(error)) from None
