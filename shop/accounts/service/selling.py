"""Whether an organisation may sell, which rooms above ask before they let it list."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.errors import NotFound, Refusal


class NoSellingRight(Refusal):
    """There is none, it has run out, or it is suspended; `seller_status` and `selling_until` say which."""

    code, status = "no_selling_right", 409
    title, title_zh = "There is no right to sell today.", "当前没有有效的销售资格。"


class MandateExpired(Refusal):
    """An agent lists what a mandate in force today names."""

    code, status = "mandate_expired", 409
    title, title_zh = "No mandate in force covers this product.", "没有有效的代理委托涵盖该产品。"


@dataclass(frozen=True)
class Standing:
    """How a seller stands on a day towards one of its products.

    `declared_grams` is the yearly capacity it declared of it: 0 for a product that its declaration leaves out, None
    where it never had to declare any. `mandate_id` is that of the principal, for an agent.
    """

    declared_grams: int | None
    mandate_id: UUID | None


STANDING = text(
    """
    SELECT o.kind, o.status, o.selling_until,
           (SELECT c.grams_per_year FROM declared_capacity c WHERE c.organisation_id = o.id AND c.current
                AND c.product_name = :product AND c.category = :category),
           EXISTS (SELECT 1 FROM declared_capacity c WHERE c.organisation_id = o.id AND c.current),
           (SELECT m.id FROM agent_mandate m
            WHERE m.agent_id = o.id AND m.revoked_at IS NULL AND m.valid @> CAST(:on AS date)
                AND :product = ANY(m.products) AND (m.principal_id IS NULL OR m.confirmed_at IS NOT NULL)
            ORDER BY m.id LIMIT 1)
    FROM organisation o WHERE o.id = :organisation
    """
)


def standing(session: Session, *, organisation_id: UUID, product: str, category: str, on: date) -> Standing:
    """The seller's standing for a product, in one statement; NoSellingRight or MandateExpired when it may not list."""
    row = session.execute(
        STANDING, {"organisation": organisation_id, "product": product, "category": category, "on": on}
    ).first()
    if row is None:
        raise NotFound
    kind, status, selling_until, declared, declares, mandate_id = row
    if status != "active" or selling_until is None or selling_until <= on:
        until = selling_until.isoformat() if selling_until else None
        raise NoSellingRight(seller_status=status, selling_until=until)
    if kind == Kind.AGENT and mandate_id is None:
        raise MandateExpired(product=product)
    return Standing((declared or 0) if declares else None, mandate_id)
