"""What a no says beside its code: title and details in the language that was asked for, with the figures promised."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from shop.actor import Role
from shop.db import unit_of_work
from shop.ledger.models import CreditLimit
from shop.stock.models import Lot
from tests.accounts import people
from tests.accounts.county import County
from tests.builders import PASSWORD

NOWHERE = "f" * 32
CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN"}


def both(county: County, name: str, method: str, path: str, body: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same no in English and in Chinese, alike in all but its words."""
    english, chinese = (
        county.ask(name, method, path, body, Accept_Language=language).get_json() for language in ("en", "zh-CN")
    )
    words = {"title", "detail", "errors"}
    assert {key: english[key] for key in english.keys() - words} == {
        key: chinese[key] for key in chinese.keys() - words
    }
    assert [error["pointer"] for error in english.get("errors", [])] == [
        error["pointer"] for error in chinese.get("errors", [])
    ]
    return english, chinese


def words_of(problem: dict[str, Any]) -> tuple[str, str | None]:
    return problem["title"], problem.get("detail")


@pytest.fixture
def selling(county: County) -> str:
    """A listing of an admitted cooperative; gives its id."""
    county.approved(county.submitted())
    return county.listed()


def test_above_the_credit_limit_the_order_hears_what_it_takes_and_what_is_left(county: County, selling: str) -> None:
    with unit_of_work() as session:
        session.execute(update(CreditLimit).values(limit_fen=700))
    me = county.get("buyer", "/v1/me")
    body = {
        "lines": [{"listing_id": selling, "quantity": 2}],
        "delivery_address_id": me["delivery_addresses"][0]["id"],
        "budget_unit_id": me["budget_units"][0]["id"],
        "purpose": "canteen",
        "payment_terms": "on_terms",
    }
    english, chinese = both(county, "buyer", "POST", "/v1/buyer/orders", body)
    wanted = english["wanted_fen"]
    assert (english["code"], english["status"], english["available_fen"]) == ("credit_exceeded", 409, 700)
    assert wanted > 8000
    assert words_of(english) == (
        "This is above your credit limit.",
        f"The order would take {wanted} fen and 700 fen are left of the limit.",
    )
    assert words_of(chinese) == ("超出可用授信额度。", f"订单需 {wanted} 分，授信余额为 700 分。")
    assert [(error["pointer"], error["detail"]) for error in chinese["errors"]] == [
        ("/payment_terms", chinese["detail"])
    ]


def test_too_little_in_store_names_each_product_with_what_is_needed_and_there(county: County, selling: str) -> None:
    part = county.order(selling).get_json()["supplier_orders"][0]["id"]
    with unit_of_work() as session:  # the order is on terms: what the worker would confirm
        session.execute(text("UPDATE supplier_order SET status = 'confirmed' WHERE status = 'placed'"))
    county.post("applicant", f"/v1/cooperative/supplier-orders/{part}/accept")
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Lot)) == 0
    product = county.get("applicant", f"/v1/cooperative/listings/{selling}")["product_id"]
    english, chinese = both(county, "applicant", "POST", f"/v1/cooperative/supplier-orders/{part}/pack")
    assert (english["code"], english["status"]) == ("not_enough_in_store", 409)
    assert english["short"] == [{"product_id": product, "needed": 10_000, "in_store": 0}]
    assert words_of(english) == (
        "There is not enough in store to pack this.",
        "Lots are missing of 1 of the products; `short` says of which.",
    )
    assert words_of(chinese) == ("库存批次不足，无法装箱。", "有 1 种产品的批次不足；详见 `short`。")


def test_a_role_that_may_not_is_told_which_may(county: County) -> None:
    english, chinese = both(county, "agriculture", "POST", "/v1/admin/list-rules", {})
    assert (english["code"], english["roles"]) == ("forbidden", ["operator"])
    assert words_of(english) == (
        "Your role may not do this.", "Your role here may not do this; it takes one of: operator.",
    )  # fmt: skip
    assert words_of(chinese) == ("您的角色不能进行此操作。", "您在此处的角色不能这样做；须为下列之一：operator。")


@pytest.mark.parametrize(
    ("name", "method", "path", "body", "pointer", "title", "detail"),
    [
        (
            "applicant", "POST", "/v1/cooperative/products/{product}/certificates",
            {"kind": "green", "number": "1", "issuer": "x", "expires_on": "2026-01-01", "file_id": "file_" + NOWHERE},
            ["/file_id"], "没有找到，或您无权查看。", "没有此文件，或不属于贵单位。",
        ),
        (
            "buyer", "POST", "/v1/buyer/approval-delegations",
            {"from_user_id": "{me}", "to_user_id": "usr_" + NOWHERE, "valid_from": "2024-10-15",
             "valid_to": "2024-10-20", "reason": "x"},
            ["/to_user_id"], "没有找到，或您无权查看。", "贵单位没有此成员。",
        ),
        (
            "buyer", "PATCH", "/v1/buyer/addresses/addr_" + NOWHERE, {"line": "x"},
            [], "没有找到，或您无权查看。", "没有此地址，或不属于贵单位。",
        ),
        (
            "operator", "GET", "/v1/admin/applications/app_" + NOWHERE, None,
            [], "没有找到，或您无权查看。", "没有此申请，或您无权查看。",
        ),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_by_its_field_in_both_languages(
    county: County, selling: str, name: str, method: str, path: str, body: Any, pointer: list[str], title: str,
    detail: str,
) -> None:  # fmt: skip
    product = county.get("applicant", f"/v1/cooperative/listings/{selling}")["product_id"]
    if body and "from_user_id" in body:
        body = body | {"from_user_id": county.get("buyer", "/v1/me")["user_id"]}
    english, chinese = both(county, name, method, path.replace("{product}", product), body)
    assert (english["code"], english["status"]) == ("not_found", 404)
    assert english["detail"].startswith("No such ")
    assert words_of(chinese) == (title, detail)
    assert [error["pointer"] for error in chinese.get("errors", [])] == pointer
    assert {error["detail"] for error in chinese.get("errors", [])} <= {detail}


def test_invitations_say_why_they_are_refused_in_both_languages(mailbox: Path) -> None:
    boss = people.client(people.person(people.organisation(), roles=[Role.MANAGER]))
    path = "/v1/me/organisation/invitations"
    wanted = {"email": "new@example.com", "roles": ["finance"]}
    made = boss.post(path, json=wanted).json["id"]
    token = people.link_of("new@example.com")

    def said(client: Any, path: str, body: Any) -> tuple[str, list[tuple[str, str | None]], list[str]]:
        answers = [
            client.post(path, json=body, environ_base=environ).json
            for environ in ({"HTTP_ACCEPT_LANGUAGE": "en"}, CHINESE)
        ]
        (code,) = {answer["code"] for answer in answers}
        pointers = [error["pointer"] for error in answers[1].get("errors", [])]
        return code, [words_of(answer) for answer in answers], pointers

    assert said(boss, path, wanted) == (
        "invitation_open",
        [
            ("This person is invited already.", "An invitation of this contact is open; withdraw it first."),
            ("已向该人员发出邀请。", "此联系方式已有未接受的邀请；请先撤回。"),
        ],
        ["/email"],
    )
    accept = {"token": token, "name": "新人", "password": PASSWORD}
    assert people.anybody().post("/v1/auth/invitations/accept", json=accept).status_code == 201
    assert said(boss, f"{path}/{made}/withdraw", {}) == (
        "invitation_ended",
        [
            ("This invitation was accepted, withdrawn or has expired.", None),
            ("该邀请已接受、已撤回或已过期。", None),
        ],
        [],
    )
    assert said(people.anybody(), "/v1/auth/invitations/accept", accept) == (
        "invitation_gone",
        [
            (
                "This invitation was used, withdrawn or has expired.",
                "The invitation was used, withdrawn, or has expired; ask for another.",
            ),
            ("该邀请已使用、已撤回或已过期。", "邀请已使用、已撤回或已过期；请索取新的邀请。"),
        ],
        [],
    )
    code, words, pointers = said(boss, path, wanted)
    assert (code, pointers, words[1][1]) == (
        "already_member", ["/email"], "该联系方式的人员已是成员，请直接修改其角色。",
    )  # fmt: skip
