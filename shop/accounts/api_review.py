"""Reviewing applications, and the rights of sellers."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts import queries_admission as queries
from shop.accounts.schemas_admission import (
    ApplicationItem,
    ApplicationOut,
    ApplicationPage,
    DecideMany,
    Decision,
    DecisionItem,
    DecisionPage,
    OutcomeOut,
    OutcomesOut,
    QueueQuery,
    ReasonIn,
    SellerOut,
    SuspendIn,
    application_out,
    item_of,
    seller_out,
)
from shop.accounts.service import granting, reviewing
from shop.accounts.service.applying import ApplicationIncomplete
from shop.actor import Actor, Audience, Role
from shop.clock import business_day
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import NO_KEY, PageQuery, Routes, roles
from shop.ids import ApplicationId, OrganisationId

routes = Routes("/v1/admin", tag="Review", people_only=True)
reviewer = roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)
NOT_BY_YOU = (reviewing.NotYourStep, reviewing.OwnRecommendation, reviewing.DecidedBefore)


def shown(session: Session, actor: Actor, application_id: ApplicationId, now: datetime) -> ApplicationOut:
    application, organisation = queries.application(session, actor, application_id)
    parts = queries.parts(session, application.id)
    lacking = queries.missing(session, application, organisation.kind, parts, business_day(now))
    return application_out(application, organisation, parts, lacking)


@routes.get("/applications", allow=reviewer, answers={200: ApplicationPage})
def list_applications(session: Session, actor: Actor, query: QueueQuery) -> ApplicationPage:
    """Applications that were handed in, oldest first; a county reviewer sees those of the reviewer's counties."""
    question = f"applications {query.status} {query.step} {actor.user_id.hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.queue(session, actor, status=query.status, step=query.step, after=after, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return ApplicationPage(
        items=[ApplicationItem(**item_of(application, organisation)) for application, organisation in page],
        next=following,
    )


@routes.get("/applications/<application_id>", allow=reviewer, answers={200: ApplicationOut})
def read_application(session: Session, actor: Actor, now: datetime, application_id: ApplicationId) -> ApplicationOut:
    """One application with its capacities, documents and history."""
    return shown(session, actor, application_id, now)


@routes.post(
    "/applications/<application_id>/review",
    allow=reviewer,
    answers={200: ApplicationOut},
    refusals=(NotFound, Invalid, reviewing.StepDecided, reviewing.StepNotOpen, *NOT_BY_YOU, ApplicationIncomplete),
    key=NO_KEY,
)
def review_application(
    session: Session, actor: Actor, now: datetime, application_id: ApplicationId, body: Decision
) -> ApplicationOut:
    """Approve the step that the application waits for, or return it with the fields to correct.

    The last approval grants the right to sell. The platform may reject: the application ends, and its organisation's
    code is free for another registration.
    """
    reviewing.decide(session, application_id=application_id, wanted=body, by=actor, now=now)
    return shown(session, actor, application_id, now)


@routes.get("/applications/reviews", allow=reviewer, answers={200: DecisionPage})
def list_application_reviews(session: Session, actor: Actor, query: PageQuery) -> DecisionPage:
    """What was decided, newest first; a county reviewer sees what was of the reviewer's counties."""
    question = f"application reviews {actor.user_id.hex}"
    before = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.decisions(session, actor, before=before, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit)
    return DecisionPage(
        items=[
            DecisionItem(
                application_id=review.application_id,
                round=review.round,
                step=review.step,
                decision=review.decision,
                reason=review.reason,
                officer_name=review.officer_name,
                office=review.office,
                at=review.at.isoformat(),
            )
            for review in page
        ],
        next=following,
    )


@routes.post("/applications/reviews", allow=reviewer, answers={200: OutcomesOut})
def review_applications(session: Session, actor: Actor, now: datetime, body: DecideMany) -> OutcomesOut:
    """Decide many at once; each succeeds or is refused by itself, and the answer says which."""
    outcomes = reviewing.decide_many(session, decisions=body.decisions, by=actor, now=now)
    return OutcomesOut(
        items=[
            OutcomeOut(
                application_id=outcome.application_id,
                result=outcome.refusal.code if outcome.refusal else "done",
                status=outcome.refusal.status if outcome.refusal else 200,
                detail=(outcome.refusal.detail or outcome.refusal.title) if outcome.refusal else None,
                facts=outcome.refusal.facts if outcome.refusal else {},
            )
            for outcome in outcomes
        ]
    )


@routes.get("/sellers/<organisation_id>/selling-right", allow=reviewer, answers={200: SellerOut})
def read_selling_right(session: Session, actor: Actor, organisation_id: OrganisationId) -> SellerOut:
    """A seller's right to sell with its history; a county reviewer reads those of the reviewer's counties."""
    return seller_out(
        queries.seller(session, organisation_id, sees=None if actor.has(Role.OPERATOR) else queries.of_regions(actor))
    )


@routes.post(
    "/sellers/<organisation_id>/suspend",
    allow=operator,
    answers={200: SellerOut},
    refusals=(NotFound, Invalid, granting.WrongSellingStatus),
)
def suspend_seller(
    session: Session, actor: Actor, now: datetime, organisation_id: OrganisationId, body: SuspendIn
) -> SellerOut:
    """Stop new orders of a seller, with a reason and until a day where one is named; orders under way run on."""
    granting.suspend(session, organisation_id=organisation_id, reason=body.reason, until=body.until, by=actor, now=now)
    return seller_out(queries.seller(session, organisation_id))


@routes.post(
    "/sellers/<organisation_id>/reinstate",
    allow=operator,
    answers={200: SellerOut},
    refusals=(NotFound, granting.WrongSellingStatus),
)
def reinstate_seller(
    session: Session, actor: Actor, now: datetime, organisation_id: OrganisationId, body: ReasonIn
) -> SellerOut:
    """Lift a suspension."""
    granting.reinstate(session, organisation_id=organisation_id, reason=body.reason, by=actor, now=now)
    return seller_out(queries.seller(session, organisation_id))


@routes.post(
    "/sellers/<organisation_id>/revoke",
    allow=operator,
    answers={200: SellerOut},
    refusals=(NotFound, granting.WrongSellingStatus),
)
def revoke_selling_right(
    session: Session, actor: Actor, now: datetime, organisation_id: OrganisationId, body: ReasonIn
) -> SellerOut:
    """Take the right to sell away; the seller may apply anew."""
    granting.revoke(session, organisation_id=organisation_id, reason=body.reason, by=actor, now=now)
    return seller_out(queries.seller(session, organisation_id))
