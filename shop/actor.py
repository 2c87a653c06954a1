"""Who acts: the person or program behind a request, the organisation it acts for and what it may do."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class Audience(StrEnum):
    """The branch of the API that an organisation belongs to."""

    BUYER = "buyer"
    COOPERATIVE = "cooperative"
    ADMIN = "admin"
    SYSTEM = "system"


class Role(StrEnum):
    """What a member may do; a membership holds several."""

    REQUESTER = "requester"
    APPROVER = "approver"
    FINANCE = "finance"
    RECEIVER = "receiver"
    MANAGER = "manager"
    LISTER = "lister"
    SHIPPER = "shipper"
    SELLER_FINANCE = "seller_finance"
    COUNTY_REVIEWER = "county_reviewer"
    OPERATOR = "operator"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    HELPER = "helper"


BUYER_ROLES = frozenset({Role.REQUESTER, Role.APPROVER, Role.FINANCE, Role.RECEIVER, Role.MANAGER})
COOPERATIVE_ROLES = frozenset({Role.LISTER, Role.SHIPPER, Role.SELLER_FINANCE, Role.MANAGER})
ADMIN_ROLES = frozenset({Role.COUNTY_REVIEWER, Role.OPERATOR, Role.ANALYST, Role.AUDITOR, Role.HELPER})
ROLES_OF = {
    Audience.BUYER: BUYER_ROLES,
    Audience.COOPERATIVE: COOPERATIVE_ROLES,
    Audience.ADMIN: ADMIN_ROLES,
    Audience.SYSTEM: frozenset[Role](),
}
HELPER_ROLES = frozenset({Role.LISTER, Role.SHIPPER})
"""What a cooperative lends to a helper: to list, to ship, never its money."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One person acting for one organisation.

    `regions` are the division codes an analyst or reviewer may look into. `scopes`, when a machine's token names any,
    are all it may ask for. `mandate_id` and `home_id`, when a helper acts for a cooperative, are the mandate and the
    helper's own organisation. `needs_two_step`: who must set up the second step of log-in before all else.
    """

    user_id: UUID
    membership_id: UUID
    organisation_id: UUID
    audience: Audience
    roles: frozenset[Role]
    order_limit_fen: int | None = None
    regions: tuple[str, ...] = field(default=())
    scopes: frozenset[str] | None = None
    mandate_id: UUID | None = None
    home_id: UUID | None = None
    token_id: UUID | None = None
    needs_two_step: bool = False

    def has(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)

    @property
    def reads_everything(self) -> bool:
        """Whether no organisation's rows are closed to it; an auditor's are when the mandate names regions."""
        return (
            self.audience is Audience.SYSTEM or self.has(Role.OPERATOR) or (self.has(Role.AUDITOR) and not self.regions)
        )


NOBODY = UUID(int=0)
SYSTEM = Actor(NOBODY, NOBODY, NOBODY, Audience.SYSTEM, frozenset())
