"""What an operator corrects of an organisation, as JSON."""

from typing import Literal

from shop.accounts.schemas_units import DivisionCode, Name, Reason, Uscc
from shop.http.routes import In

PartyKind = Literal[
    "budget_unit", "canteen", "trade_union", "enterprise", "cooperative", "family_farm", "producer", "agent"
]


class CorrectOrganisation(In):
    """What is to be recorded, and why; what is left out stays. The kind stays on its side of the trade."""

    kind: PartyKind | None = None
    name: Name | None = None
    name_en: Name | None = None
    uscc: Uscc | None = None
    division_code: DivisionCode | None = None
    reason: Reason
