"""Certificates: entered with their paper, reviewed, shown until they expire, replaced, withdrawn."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.settings import settings
from shop.accounts.service import uploading
from shop.catalogue.api_certificates import reviewing, selling
from shop.catalogue.cards import rewrite_lapsed
from shop.catalogue.models import CERTIFICATE_NEXT, CertificateStatus
from shop.clock import business_day
from shop.db import unit_of_work
from shop.files.api import routes as file_routes
from shop.http.routes import mount
from tests import builders as a
from tests.catalogue.market import KEYS, Market
from tests.catalogue.test_listings import public

TODAY = business_day(a.NOW)
ALL = "/v1/admin/certificates"


@pytest.fixture
def market(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Market:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path / "files"))
    settings.cache_clear()
    made = Market()
    for more in (selling, reviewing, file_routes):
        mount(made.client.application, more, made.who)
    return made


def a_paper(market: Market, name: str = "seller") -> str:
    return f"file_{uploading.upload(by=market.actors[name], name='证书.pdf', data=b'%PDF-1.7 a certificate').hex}"


def body_of(market: Market, **more: Any) -> dict[str, Any]:
    usual = {
        "kind": "green", "number": f"LB-{next(KEYS)}", "issuer": "中国绿色食品发展中心",
        "expires_on": f"{TODAY + timedelta(days=100)}",
    }  # fmt: skip
    return usual | more | ({} if "file_id" in more else {"file_id": a_paper(market)})


def entered(market: Market, listing: Any, **more: Any) -> Any:
    path = f"/v1/cooperative/products/{listing['product_id']}/certificates"
    return market.post("seller", path, body_of(market, **more))


def reviewed(market: Market, certificate: Any, decision: str = "approve", note: str = "") -> Any:
    return market.post("luochuan", f"{ALL}/{certificate['id']}/review", {"decision": decision, "note": note})


def numbers(market: Market) -> list[str]:
    return [certificate["number"] for certificate in public(market)[0]["certificates"]]


def test_a_certificate_is_shown_from_its_approval_until_it_expires(market: Market) -> None:
    listing = market.listed()
    made = entered(market, listing, number="LB-1")
    assert (made["status"], numbers(market)) == ("in_review", [])
    assert market.client.get(made["paper"]).data == b"%PDF-1.7 a certificate"
    queue = market.get(ALL, "luochuan")["items"]
    assert [(item["id"], item["product"]) for item in queue] == [(made["id"], "洛川苹果")]
    assert market.get(ALL, "yanchi")["items"] == []
    assert market.ask("yanchi", "POST", f"{ALL}/{made['id']}/review", {"decision": "approve"}).status_code == 404
    assert (reviewed(market, made)["status"], numbers(market)) == ("approved", ["LB-1"])
    assert market.get(f"/v1/public/listings/{listing['id']}")["certificates"] == [
        {"kind": "green", "number": "LB-1", "issuer": "中国绿色食品发展中心", "expires_on": made["expires_on"]}
    ]
    with unit_of_work() as session:
        assert rewrite_lapsed(session, on=TODAY + timedelta(days=99)) == 0
        assert rewrite_lapsed(session, on=TODAY + timedelta(days=100)) == 1
    assert numbers(market) == []


def test_the_old_certificate_is_shown_until_the_new_one_is_approved(market: Market) -> None:
    listing = market.listed()
    old = reviewed(market, entered(market, listing, number="LB-1"))
    path = f"/v1/cooperative/certificates/{old['id']}/replace"
    new = market.post("seller", path, body_of(market, number="LB-2"))
    assert (new["replaces_id"], new["status"], numbers(market)) == (old["id"], "in_review", ["LB-1"])
    assert (reviewed(market, new)["status"], numbers(market)) == ("approved", ["LB-2"])
    own = market.get(f"/v1/cooperative/products/{listing['product_id']}/certificates", "seller")["items"]
    assert [(one["number"], one["status"]) for one in own] == [("LB-1", "replaced"), ("LB-2", "approved")]


def test_one_that_was_returned_is_replaced_at_once_by_its_correction(market: Market) -> None:
    listing = market.listed()
    wrong = reviewed(market, entered(market, listing, number="LB-1"), "return", "编号与证书不符")
    assert (wrong["status"], wrong["review_note"], numbers(market)) == ("returned", "编号与证书不符", [])
    path = f"/v1/cooperative/certificates/{wrong['id']}/replace"
    right = market.post("seller", path, body_of(market, number="LB-1"))
    assert (reviewed(market, right)["status"], numbers(market)) == ("approved", ["LB-1"])


def test_a_certificate_that_is_withdrawn_is_shown_no_more(market: Market) -> None:
    made = reviewed(market, entered(market, market.listed()))
    path = f"/v1/cooperative/certificates/{made['id']}/withdraw"
    assert market.ask("rival", "POST", path).status_code == 404
    assert (market.post("seller", path)["status"], numbers(market)) == ("withdrawn", [])


def test_what_was_decided_or_ended_stays_so(market: Market) -> None:
    listing = market.listed()
    made = reviewed(market, entered(market, listing))
    again = market.ask("operator", "POST", f"{ALL}/{made['id']}/review", {"decision": "return", "note": "x"})
    assert (again.status_code, again.json["code"]) == (409, "wrong_certificate_status")
    market.post("seller", f"/v1/cooperative/certificates/{made['id']}/withdraw")
    for deed, body in (("withdraw", None), ("replace", body_of(market))):
        late = market.ask("seller", "POST", f"/v1/cooperative/certificates/{made['id']}/{deed}", body)
        assert (late.status_code, late.json["code"]) == (409, "wrong_certificate_status")
    assert {status for status, following in CERTIFICATE_NEXT.items() if not following} == {
        CertificateStatus.REPLACED,
        CertificateStatus.WITHDRAWN,
    }


def test_what_cannot_be_entered_is_refused_where_it_stands(market: Market) -> None:
    listing = market.listed()
    entered(market, listing, number="LB-1")
    path = f"/v1/cooperative/products/{listing['product_id']}/certificates"
    for more, status, code, pointer in (
        ({"number": "LB-1"}, 409, "certificate_entered", "/number"),
        ({"expires_on": f"{TODAY}"}, 422, "invalid", "/expires_on"),
        ({"expires_on": "soon"}, 422, "date_type", "/expires_on"),
        ({"kind": "best"}, 422, "literal_error", "/kind"),
        ({"number": " "}, 422, "string_too_short", "/number"),
        ({"file_id": a_paper(market, "rival")}, 404, "not_found", "/file_id"),
    ):
        answer = market.ask("seller", "POST", path, body_of(market, **more))
        (error,) = answer.json["errors"]
        assert (answer.status_code, error["code"], error["pointer"]) == (status, code, pointer)
    assert market.ask("rival", "POST", path, body_of(market, file_id=a_paper(market, "rival"))).status_code == 404
    without_reason = market.ask("operator", "POST", f"{ALL}/crt_{'0' * 32}/review", {"decision": "return"})
    assert without_reason.status_code == 422


def test_a_certificate_that_expired_while_it_waited_is_not_approved(market: Market) -> None:
    made = entered(market, market.listed(), expires_on=f"{TODAY + timedelta(days=1)}")
    market.now = a.NOW + timedelta(days=1)
    late = market.ask("operator", "POST", f"{ALL}/{made['id']}/review", {"decision": "approve"})
    assert (late.status_code, late.json["code"]) == (409, "certificate_expired")
    assert reviewed(market, made, "return", "已过期")["status"] == "returned"


def test_the_queue_comes_in_pages(market: Market) -> None:
    listing = market.listed()
    made = [entered(market, listing)["id"] for _ in range(3)]
    first = market.get(f"{ALL}?limit=2", "operator")
    rest = market.get(f"{ALL}?limit=2&cursor={first['next']}", "operator")
    assert ([item["id"] for item in first["items"] + rest["items"]], rest["next"]) == (made, None)
