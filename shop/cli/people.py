"""`shop user`: the first admin of a new shop."""

import secrets

import click
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.accounts.service import registering
from shop.actor import Role
from shop.db import in_unit_of_work
from shop.ledger.service import PLATFORM_ID


@click.group()
def user() -> None:
    """People."""


@user.command("add-admin")
@click.argument("email")
@click.option("--name", default="管理员", show_default=True)
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(["operator", "analyst", "auditor"]),
    default=["operator", "analyst"],
    show_default=True,
)
def add_admin(email: str, name: str, roles: tuple[str, ...]) -> None:
    """Make a member of the platform and print the first password, once."""
    password = secrets.token_urlsafe(15)

    def make(session: Session) -> None:
        platform = session.get(Organisation, PLATFORM_ID)
        if platform is None:
            raise click.ClickException("The reference data is not loaded: run `shop db migrate` first.")
        registering.register_user(
            session,
            organisation=platform,
            email=email,
            name=name,
            password=password,
            roles=[Role(role) for role in roles],
        )

    in_unit_of_work(make)
    click.echo(f"{email} may log in with the password {password}")
