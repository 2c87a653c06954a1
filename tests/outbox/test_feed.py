"""The feed of events."""

from sqlalchemy.orm import Session

from shop.outbox import service as outbox
from shop.outbox.api import EventsQuery, read_events
from shop.outbox.models import Event
from tests import builders as a


def test_the_feed_tells_an_organisation_what_it_may_see_in_numbered_order(session: Session) -> None:
    buyer, stranger = a.an_organisation(session), a.an_organisation(session)
    for seen_by in ([buyer.id], [stranger.id], [buyer.id, stranger.id]):
        outbox.announce(session, "order.placed", now=a.NOW, seen_by=seen_by, order_id=buyer.id)
    outbox.number(session, Event)
    actor = a.a_member(session, buyer)
    page = read_events(session, actor, EventsQuery(limit=1))
    rest = read_events(session, actor, EventsQuery(after=page.next_after))
    assert [item.no for item in page.items + rest.items] == [1, 3]
    assert rest.items[0].payload == {"order_id": buyer.id.hex}
    assert read_events(session, actor, EventsQuery(after=rest.next_after)).items == []


def test_what_is_not_numbered_yet_is_not_told(session: Session) -> None:
    buyer = a.an_organisation(session)
    outbox.announce(session, "order.placed", now=a.NOW, seen_by=[buyer.id])
    assert read_events(session, a.a_member(session, buyer), EventsQuery()).items == []
