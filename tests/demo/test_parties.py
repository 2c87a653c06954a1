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
    ends = {months_later(today, 12), months_later(today, 24)}
    held = session.execute(select(SellingRight.organisation_id, SellingRight.valid)).all()
    until = session.execute(select(Organisation.id, Organisation.selling_until)).all()
    assert len(held) == 2 * len(rows("shop.demo", "cooperatives.csv"))
    assert {right.upper for _, right in held} == ends
    assert {day for seller, day in until if seller in {one for one, _ in held}} == {max(ends)}
