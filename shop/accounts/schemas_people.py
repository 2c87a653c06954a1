"""People, sessions, invitations, the second step and machine tokens, as JSON."""

from typing import Annotated

from pydantic import Field

from shop.accounts import contacts
from shop.accounts.models import ApiToken, Membership, Organisation, User
from shop.accounts.models_people import Invitation
from shop.accounts.schemas import Device, Login, OrganisationOut, Password
from shop.actor import Actor, Role
from shop.http.routes import In, Out, PageQuery
from shop.ids import InvitationId, MembershipId, OrganisationId, SessionId, TokenId, UserId

Contact = Annotated[str, Field(min_length=3, max_length=200)]
NewPassword = Annotated[str, Field(min_length=1, max_length=1000, description="10 to 256 characters.")]
Code = Annotated[str, Field(min_length=1, max_length=40)]
LinkToken = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Roles = Annotated[list[Annotated[Role, Field(strict=False)]], Field(min_length=1, max_length=20)]
Regions = Annotated[list[Annotated[str, Field(pattern=r"^\d{6}$")]], Field(max_length=200)]
Limit = Annotated[int, Field(ge=0, le=10**12)]


class ReachQuery(PageQuery):
    organisation_id: OrganisationId


class FirstMember(In):
    """Who registers an organisation, by a phone or an e-mail; will hold all of its roles.

    A link goes there. Whoever has it comes in by `POST /v1/auth/invitations/accept`, with a name and a password.
    """

    contact: Contact


class AcceptInvitation(In):
    """`name` is for somebody new; a known person proves with the own password."""

    token: LinkToken
    name: Name | None = None
    password: NewPassword


class AcceptedOut(Out):
    membership_id: MembershipId
    organisation_id: OrganisationId
    roles: list[str]


class AskReset(In):
    login: Login
    device: Device | None = None


class AskedOut(Out):
    """Says the same whether or not anybody has this log-in."""

    sent: str = "if_known"


class ResetAskedOut(AskedOut):
    """Give `request` with the code, and nobody else's wrong guesses at the account stand in its way."""

    request: str


class ConfirmReset(In):
    """The `token` of a link, or the `login` with the `code` that came by text message or in person.

    `request` is what asking for the code was answered with.
    """

    token: LinkToken | None = None
    login: Login | None = None
    code: Code | None = None
    new_password: NewPassword
    device: Device | None = None
    request: LinkToken | None = None


class ChangePassword(In):
    current: Password
    new: NewPassword


class AskContact(In):
    phone: Contact | None = None
    email: Contact | None = None
    password: Password


class ConfirmContact(In):
    """The `token` of the link to an e-mail, or the `code` of the text message to a phone."""

    token: LinkToken | None = None
    code: Code | None = None


class MembershipOut(Out):
    id: MembershipId
    organisation: OrganisationOut
    roles: list[str]
    order_limit_fen: int | None
    current: bool


class MembershipsOut(Out):
    items: list[MembershipOut]


class Switch(In):
    membership_id: MembershipId


class SwitchedOut(Out):
    """The token to go on with; it ends when the one before would have ended."""

    token: str
    expires_at: str


class SessionOut(Out):
    """`device`: the browser or program in a few words, empty where it did not say."""

    id: SessionId
    organisation_id: OrganisationId
    device: str
    made_at: str
    last_used_at: str | None
    expires_at: str
    current: bool


class SessionsOut(Out):
    items: list[SessionOut]


class EndedOut(Out):
    ended: int


class Invite(In):
    """By a phone or an e-mail. `order_limit_fen` is for members of a buyer, `regions` for those of an admin office."""

    phone: Contact | None = None
    email: Contact | None = None
    roles: Roles
    order_limit_fen: Limit | None = None
    regions: Regions = Field(default_factory=list)


class InvitationOut(Out):
    """`to` is masked: whoever invited knows whom."""

    id: InvitationId
    status: str
    channel: str
    to: str | None
    roles: list[str]
    order_limit_fen: int | None
    regions: list[str]
    made_at: str
    expires_at: str


class InvitationPage(Out):
    items: list[InvitationOut]
    next: str | None


class MemberOut(Out):
    """`email` and `phone` are masked for who is of another organisation."""

    membership_id: MembershipId
    user_id: UserId
    name: str
    email: str | None
    phone: str | None
    roles: list[str]
    order_limit_fen: int | None
    regions: list[str]
    last_used_at: str | None
    two_step: bool


class MemberPage(Out):
    items: list[MemberOut]
    next: str | None


class ChangeMember(In):
    """Only what is named changes."""

    roles: Roles | None = None
    order_limit_fen: Limit | None = None
    regions: Regions | None = None


class NewOffice(In):
    """The office of a county, which reviews applications and lends helpers."""

    name: Name
    name_en: Name
    division_code: Annotated[str, Field(pattern=r"^\d{6}$")]


class ReasonIn(In):
    reason: Reason


class ResetInPerson(In):
    """`drops_two_step` also takes the second step of log-in away, for who lost the authenticator and the codes."""

    reason: Reason
    drops_two_step: bool = False


class CodeInPersonOut(Out):
    """Shown once; hand it to the person, who sets a new password with it and the own log-in."""

    code: str
    expires_at: str


class PasswordIn(In):
    password: Password


class CodeIn(In):
    code: Code


class PasswordAndCode(In):
    password: Password
    code: Code


class TwoStepOut(Out):
    enabled: bool
    since: str | None
    recovery_codes_left: int


class EnrolmentOut(Out):
    """Shown once: type `secret` into an authenticator, or let it read `uri` as a QR code; then confirm with a code."""

    secret: str
    uri: str


class RecoveryCodesOut(Out):
    """Shown once; each works once in place of a code of the authenticator."""

    recovery_codes: list[str]


class TwoStepBegunOut(RecoveryCodesOut):
    """`ended_sessions`: how many sessions of the person, begun without the second step, were ended."""

    ended_sessions: int


class MakeToken(In):
    name: Name
    scopes: Annotated[list[Annotated[str, Field(max_length=60)]], Field(min_length=1, max_length=100)]
    expires_in_days: Annotated[int, Field(ge=1, le=366)]


class ApiTokenOut(Out):
    id: TokenId
    membership_id: MembershipId
    name: str
    scopes: list[str]
    made_at: str
    last_used_at: str | None
    expires_at: str
    active: bool


class MadeTokenOut(ApiTokenOut):
    """`token` is shown once."""

    token: str


class ApiTokenPage(Out):
    items: list[ApiTokenOut]
    next: str | None


class ScopesOut(Out):
    """What a token may be allowed here: `part:read` or `part:write`."""

    items: list[str]


def organisation_out(organisation: Organisation) -> OrganisationOut:
    return OrganisationOut(
        id=organisation.id,
        name=organisation.name,
        name_en=organisation.name_en,
        kind=organisation.kind,
        division_code=organisation.division_code,
    )


def member_out(membership: Membership, user: User, two_step: bool, *, to: Actor) -> MemberOut:
    """A member as the actor may see them."""
    colleague = membership.organisation_id == to.organisation_id
    return MemberOut(
        membership_id=membership.id,
        user_id=user.id,
        name=user.name,
        email=user.email if colleague else contacts.masked(user.email),
        phone=user.phone if colleague else contacts.masked(user.phone),
        roles=sorted(membership.roles),
        order_limit_fen=membership.order_limit_fen,
        regions=sorted(membership.regions),
        last_used_at=membership.last_used_at.isoformat() if membership.last_used_at else None,
        two_step=two_step,
    )


def invitation_out(invitation: Invitation, user: User, status: str) -> InvitationOut:
    return InvitationOut(
        id=invitation.id,
        status=status,
        channel=invitation.channel,
        to=contacts.masked(user.phone if invitation.channel == "text" else user.email),
        roles=invitation.roles,
        order_limit_fen=invitation.order_limit_fen,
        regions=invitation.regions,
        made_at=invitation.created_at.isoformat(),
        expires_at=invitation.expires_at.isoformat(),
    )


def token_fields(token: ApiToken, active: bool) -> dict[str, object]:
    return {
        "id": token.id,
        "membership_id": token.membership_id,
        "name": token.name,
        "scopes": token.scopes or [],
        "made_at": token.created_at.isoformat(),
        "last_used_at": token.last_used_at.isoformat() if token.last_used_at else None,
        "expires_at": token.expires_at.isoformat(),
        "active": active,
    }
