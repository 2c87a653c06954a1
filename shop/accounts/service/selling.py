"""Whether an organisation may sell, which rooms above ask before they let it list."""

from collections.abc import Mapping
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
           CASE WHEN o.kind = 'agent' THEN COALESCE(
               agent_mandate_of(o.id, CAST(:named AS uuid), :product, CAST(:on AS date)),
               agent_mandate_of(o.id, NULL, :product, CAST(:on AS date))
           ) END
    FROM organisation o WHERE o.id = :organisation
    """
)


def standing(
    session: Session, *, organisation_id: UUID, product: str, category: str, on: date, mandate_id: UUID | None = None
) -> Standing:
    """The seller's standing for a product, in one statement; NoSellingRight or MandateExpired when it may not list.

    An agent's mandate is one of the principal that gave `mandate_id`, or else, of any that names the product.
    """
    given = {"organisation": organisation_id, "product": product, "category": category, "on": on, "named": mandate_id}
    row = session.execute(STANDING, given).first()
    if row is None:
        raise NotFound
    kind, status, selling_until, declared, declares, mandate_id = row
    if status != "active" or selling_until is None or selling_until <= on:
        until = selling_until.isoformat() if selling_until else None
        raise NoSellingRight(seller_status=status, selling_until=until)
    if kind == Kind.AGENT and mandate_id is None:
        raise MandateExpired(product=product)
    return Standing((declared or 0) if declares else None, mandate_id)


@dataclass(frozen=True)
class Standings:
    """How a seller stands on a day towards any of its products: what many `standing` would say, read once."""

    seller_status: str
    selling_until: date | None
    on: date
    declared: Mapping[tuple[str, str], int]
    mandates: Mapping[str, UUID] | None

    def of(self, product: str, category: str) -> Standing:
        """The standing for a product; NoSellingRight or MandateExpired when it may not be listed."""
        if self.seller_status != "active" or self.selling_until is None or self.selling_until <= self.on:
            until = self.selling_until.isoformat() if self.selling_until else None
            raise NoSellingRight(seller_status=self.seller_status, selling_until=until)
        mandate_id = None
        if self.mandates is not None:
            mandate_id = self.mandates.get(product)
            if mandate_id is None:
                raise MandateExpired(product=product)
        return Standing(self.declared.get((product, category), 0) if self.declared else None, mandate_id)


SELLER = text("SELECT kind, status, selling_until FROM organisation WHERE id = :organisation")
DECLARED = text(
    "SELECT product_name, category, grams_per_year FROM declared_capacity WHERE organisation_id = :organisation"
    " AND current"
)
MANDATED = text(
    """
    SELECT DISTINCT ON (product) product, m.id FROM agent_mandate m, unnest(m.products) product
    WHERE m.agent_id = :organisation AND m.revoked_at IS NULL AND m.valid @> CAST(:on AS date)
        AND (m.principal_id IS NULL OR m.confirmed_at IS NOT NULL)
    ORDER BY product, m.id
    """
)


def standings(session: Session, *, organisation_id: UUID, on: date) -> Standings:
    """The seller's standing for everything it may list, in three statements for any number of products."""
    row = session.execute(SELLER, {"organisation": organisation_id}).first()
    if row is None:
        raise NotFound
    declared = session.execute(DECLARED, {"organisation": organisation_id})
    mandates: dict[str, UUID] | None = None
    if row.kind == Kind.AGENT:
        found = session.execute(MANDATED, {"organisation": organisation_id, "on": on})
        mandates = {row.product: row.id for row in found}
    return Standings(
        row.status, row.selling_until, on, {(name, category): grams for name, category, grams in declared}, mandates
    )
