"""The command line `shop`: what an operator does outside the browser."""

import click

from shop.cli import data, people, running, watching


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def shop() -> None:
    """The open produce exchange of the East-West cooperation.

    \b
    Serve it with everything it needs     shop up
    Prepare a database                    shop db migrate, then shop user add-admin
    Prove that everything adds up         shop check
    Look at a report                      shop report procurement --group-by east_province,west_province
    See and retry work that failed        shop outbox parked / shop outbox retry EVENT
    """


for command in (
    running.up,
    running.demo,
    running.openapi,
    data.db,
    data.import_,
    people.user,
    watching.check,
    watching.report,
    watching.outbox,
):
    shop.add_command(command)


def main() -> None:
    """Run the command line; a refusal becomes one sentence and exit code 1."""
    from config.settings import SettingsError
    from shop.errors import Refusal

    try:
        shop(prog_name="shop")
    except Refusal as refusal:
        raise SystemExit(f"{refusal.title} {refusal.detail}".strip()) from None
    except SettingsError as error:
        raise SystemExit(str(error)) from None
