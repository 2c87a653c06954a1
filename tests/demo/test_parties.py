"""The demo's parties are registered as the shop registers them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.accounts.models_admission import SellingRight
from shop.accounts.service.granting import months_later
from shop.cli import reference
from shop.clock import business_day, business_now
from shop.db import in_unit_of_work
from shop.demo import parties
from shop.factfile import rows


def test_every_seller_of_the_demo_may_sell_for_the_played_year_and_the_one_after_it(committed: str) -> None:
    for _ in reference.load():
        pass
    parties.make("a password of the demo")
    parties.make("a password of the demo")
    in_unit_of_work(every_seller_may_sell_for_two_years)


def every_seller_may_sell_for_two_years(session: Session) -> None:
    today = business_day(business_now(session))
    held = session.scalars(select(SellingRight.valid)).all()
    until = session.scalars(select(Organisation.selling_until).where(Organisation.selling_until.is_not(None))).all()
    assert len(held) == len(until) == len(rows("shop.demo", "cooperatives.csv"))
    assert {right.upper for right in held} == set(until) == {months_later(today, 24)}
