"""What each operation that names something of an organisation is asked with: a good body, with ids to be filled in.

A word in braces is an id of one side, by its name in `Side.ids`. Every operation with an id in its path and a body has
an entry, and so has every one whose body names something of an organisation; the walker says which is missing.
"""

from typing import Any

from shop.accounts.uscc import check_character

CATERER = "91110000MA9000001" + check_character("91110000MA9000001")
"""The code of an enterprise that caters for both sides and belongs to neither."""

UNIT = {"name": "分校", "finance_level": "county", "funding_code": "310101"}
LISTING = {
    "pack_name": "10斤箱", "base_unit": "g", "pack_base_quantity": 5000, "pack_grams": 5000, "min_packs": 1,
    "step_packs": 1, "max_packs": 10, "tiers": [{"min_packs": 1, "price_fen": 4000}], "season_from": 1,
    "season_to": 12,
}  # fmt: skip

CAPACITY = {
    "product_name": "苹果", "category": "fruit", "heads": 10, "yield_grams": 1000, "households": 1,
    "grams_per_year": 10_000, "evidence": "合同",
}  # fmt: skip
HELPS = {
    "helper_id": "{helper_id}", "helper_organisation_id": "{helper_organisation_id}", "valid_from": "2024-10-15",
    "valid_to": "2024-11-15", "file_id": "{file_id}",
}  # fmt: skip
DECISION = {"step": "agriculture", "decision": "approve", "reason": "x", "officer_name": "x", "office": "x"}

ORDER = {
    "lines": [{"listing_id": "{any_listing_id}", "quantity": 1}], "delivery_address_id": "{address_id}",
    "budget_unit_id": "{budget_unit_id}", "purpose": "canteen", "payment_terms": "on_terms",
}  # fmt: skip
REQUISITION = ORDER | {"reference": "x"}
STANDING = {
    "list_id": "{list_id}", "budget_unit_id": "{budget_unit_id}", "delivery_address_id": "{address_id}", "headcount": 1,
    "meals": 1, "purpose": "canteen", "payment_terms": "on_terms", "every_days": 7, "run_on": "2024-11-01",
}  # fmt: skip
LIST = {"name": "x", "lines": [{"listing_id": "{any_listing_id}", "quantity": 1}]}

AGREEMENT = {
    "reference": "x", "valid_from": "2024-10-15", "valid_to": "2025-10-15", "ceiling_fen": 1_000_000,
    "lines": [{"listing_id": "{any_listing_id}", "unit_fen": 3900}],
}  # fmt: skip

ASKED_SELLER = "org_" + f"{10:032x}"
"""A cooperative that belongs to neither side."""

ASKING = {
    "title": "x", "delivery_address_id": "{address_id}", "deadline": "2024-10-20T17:00:00+08:00", "valid_days": 30,
    "cooperative_ids": [ASKED_SELLER],
    "lines": [{"name": "苹果", "spec": "80mm", "base_unit": "g", "pack_base_quantity": 5000, "packs": 20}],
}  # fmt: skip

CERTIFICATE = {
    "kind": "green", "number": "LB-1", "issuer": "x", "expires_on": "2026-01-01", "file_id": "{file_id}",
}  # fmt: skip

BODIES: dict[str, Any] = {
    "POST /v1/cooperative/products/<product_id>/certificates": CERTIFICATE,
    "POST /v1/cooperative/certificates/<certificate_id>/replace": CERTIFICATE,
    "POST /v1/admin/certificates/<certificate_id>/review": {"decision": "return", "note": "x"},
    "PUT /v1/cooperative/products/<product_id>/photos": {"photo_ids": ["{photo_id}"]},
    "POST /v1/cooperative/listings": {"product_id": "{product_id}", **LISTING},
    "POST /v1/cooperative/listing-imports/<listing_import_id>/confirm": {"mode": "all"},
    "PATCH /v1/cooperative/listings/<listing_id>": {"tiers": [{"min_packs": 1, "price_fen": 100}]},
    "POST /v1/admin/listings/<listing_id>/review": {"decision": "return", "note": "x"},
    "POST /v1/admin/listings/<listing_id>/delist": {"reason": "x"},
    "POST /v1/admin/listing-reviews": {
        "decisions": [{"listing_id": "{listing_id}", "decision": "return", "note": "x"}]
    },
    "POST /v1/cooperative/listings/<listing_id>/revert": {"revision": 1},
    "POST /v1/cooperative/supplies": {
        "listing_id": "{listing_id}", "ready_from": "2024-11-01", "ready_to": "2024-12-01", "packs": 5,
    },
    "POST /v1/cooperative/supplies/<supply_id>/withdraw": {"packs": 1},
    "POST /v1/cooperative/lots": {
        "listing_id": "{listing_id}", "code": "X1", "harvested_on": "2024-10-14", "best_before": "2025-01-01",
        "packs": 1,
    },
    "POST /v1/cooperative/locations": {"kind": "county_store", "name": "x", "division_code": "310101"},
    "POST /v1/cooperative/lots/<lot_id>/transfer": {"location_id": "{location_id}", "quantity": 1},
    "POST /v1/cooperative/lots/<lot_id>/write-off": {"quantity": 1, "reason": "other"},
    "POST /v1/cooperative/stock-takes": {"counts": [{"lot_id": "{lot_id}", "counted": 10000000}]},
    "POST /v1/cooperative/lots/<lot_id>/documents": {
        "kind": "conformity_certificate", "number": "x", "file_id": "{file_id}",
    },
    "POST /v1/cooperative/supplies/weeks": {
        "weeks": [{"listing_id": "{listing_id}", "monday": "2024-11-04", "packs": 5}],
    },
    "POST /v1/cooperative/supplies/<supply_id>/shortfall": {"packs": 0, "reason": "x"},
    "POST /v1/cooperative/recalls": {"lot_ids": ["{lot_id}"], "reason": "x"},
    "POST /v1/admin/recalls": {"lot_ids": ["{lot_id}"], "reason": "x"},
    "POST /v1/cooperative/recalls/<recall_id>/release": {"reason": "x"},
    "POST /v1/admin/recalls/<recall_id>/release": {"reason": "x"},
    "POST /v1/buyer/agreements": AGREEMENT,
    "POST /v1/cooperative/agreements": AGREEMENT | {
        "lines": [{"listing_id": "{listing_id}", "unit_fen": 3900}], "buyer_uscc": CATERER,
    },
    **{
        f"POST /v1/{side}/agreements/<agreement_id>/{deed}": body
        for side in ("buyer", "cooperative")
        for deed, body in (("answer", {"accept": True}), ("end", {"reason": "x"}))
    },
    "POST /v1/buyer/quotation-requests": ASKING,
    "POST /v1/buyer/quotation-requests/<request_id>/cancel": {"reason": "x"},
    "POST /v1/buyer/quotation-requests/<request_id>/award": {
        "awards": [{"place": 0, "cooperative_id": "{cooperative_id}"}],
    },
    "PUT /v1/cooperative/quotation-requests/<request_id>/quote": {
        "lines": [{"place": 0, "listing_id": "{listing_id}", "unit_fen": 3900}],
    },
    "POST /v1/buyer/orders": ORDER,
    "PUT /v1/buyer/budgets": {
        "budget_unit_id": "{budget_unit_id}", "year": 2030, "purpose": "canteen", "amount_fen": 1, "reason": "x",
    },
    "POST /v1/buyer/supplier-orders/<supplier_order_id>/claims": {
        "kind": "return", "statement": "x",
        "lines": [{"line_id": "{line_id}", "lot_id": "{lot_id}", "packs": 1, "reason": "x"}],
    },
    "POST /v1/cooperative/claims/<claim_id>/answer": {"agree": False, "statement": "x"},
    "POST /v1/admin/claims/<claim_id>/decide": {"grants": [], "reason": "x"},
    "PUT /v1/buyer/inspection-settings": {
        "budget_unit_id": "{budget_unit_id}", "two_signatures": False, "not_by_requester": False, "reason": "x",
    },
    "POST /v1/buyer/supplier-orders/<supplier_order_id>/signatures/return": {"reason": "x"},
    "PUT /v1/buyer/supplier-orders/<supplier_order_id>/inspection-drafts/<device_draft_id>": {
        "version": 1, "lines": [],
    },
    "PUT /v1/buyer/spending-limits": {"member_id": "{membership_id}", "window": "month", "limit_fen": 10**15},
    "POST /v1/buyer/requisitions": REQUISITION,
    "POST /v1/buyer/requisition-checks": ORDER,
    "POST /v1/buyer/requisition-lists": LIST,
    "POST /v1/buyer/standing-orders": STANDING,
    "PUT /v1/buyer/standing-orders/<standing_id>": STANDING,
    "PUT /v1/buyer/requisition-lists/<list_id>": LIST,
    "POST /v1/buyer/requisition-lists/<list_id>/workings": {"headcount": 1, "meals": 1},
    "POST /v1/buyer/requisition-lists/<list_id>/requisitions": {
        "canteens": [
            {"budget_unit_id": "{budget_unit_id}", "delivery_address_id": "{address_id}", "headcount": 1}
        ],
        "meals": 1, "purpose": "canteen", "payment_terms": "on_terms",
    },
    "PUT /v1/buyer/requisitions/<requisition_id>": REQUISITION,
    "POST /v1/buyer/requisitions/<requisition_id>/withdraw": {"reason": "x"},
    "POST /v1/buyer/requisitions/<requisition_id>/decision": {"version": 1, "decision": "return", "comment": "x"},
    "POST /v1/buyer/requisition-decisions": {
        "decisions": [{"requisition_id": "{requisition_id}", "version": 1, "decision": "return", "comment": "x"}],
    },
    "POST /v1/buyer/requisitions/<requisition_id>/paper-approval": {
        "version": 1, "file_id": "{buyer_file_id}", "signed_on": "2024-10-14",
    },
    "POST /v1/buyer/approval-rules": {
        "step": 1, "role": "approver", "from_fen": 0, "valid_from": "2024-10-15", "budget_unit_id": "{budget_unit_id}",
        "member_id": "{own_membership_id}",
    },
    "POST /v1/buyer/approval-rules/<rule_id>/end": {"valid_to": "2030-01-01"},
    "POST /v1/buyer/approval-delegations": {
        "from_user_id": "{user_id}", "to_user_id": "{other_user_id}", "valid_from": "2024-10-15",
        "valid_to": "2024-10-20", "reason": "x",
    },
    "POST /v1/buyer/orders/<order_id>/cancel": {"reason": "x"},
    "POST /v1/buyer/orders/<order_id>/documents": {},
    "POST /v1/buyer/supplier-orders/<supplier_order_id>/inspection": {
        "lines": [
            {"line_id": "{line_id}", "lot_id": "{lot_id}", "accepted": 5, "rejected": 0, "short": 0, "reason": None}
        ]
    },
    "POST /v1/buyer/orders/<order_id>/payments": {"method": "bank_transfer"},
    "POST /v1/admin/refunds/<refund_id>/sent": {"bank_reference": "F-0001", "sent_on": "2024-10-15"},
    "POST /v1/cooperative/supplier-orders/<supplier_order_id>/ship": {"carrier": "simulated"},
    "POST /v1/cooperative/shipments/<shipment_id>/tracking": {"ref": "9", "kind": "delivered", "place": "上海"},
    "POST /v1/admin/audit-mandates/<mandate_id>/revoke": {"reason": "x"},
    "PATCH /v1/me/organisation/members/<membership_id>": {"order_limit_fen": 5},
    "POST /v1/me/organisation/members/<membership_id>/end": {"reason": "x"},
    "POST /v1/me/organisation/members/<membership_id>/reset": {"reason": "x"},
    "POST /v1/admin/members/<membership_id>/reset": {"reason": "x"},
    "PATCH /v1/admin/members/<membership_id>": {"roles": ["helper"]},
    "POST /v1/admin/members/<membership_id>/end": {"reason": "x"},
    "POST /v1/admin/organisations/<organisation_id>/invitations": {"phone": "13800138000", "roles": ["requester"]},
    "POST /v1/admin/people/<user_id>/erase": {"reason": "x"},
    "POST /v1/auth/switch": {"membership_id": "{own_membership_id}"},
    "POST /v1/admin/registrations/<registration_id>/approve": {},
    "POST /v1/admin/registrations/<registration_id>/return": {"reason": "x"},
    "POST /v1/admin/organisations/<organisation_id>/close": {"reason": "x"},
    "POST /v1/buyer/units": {**UNIT, "parent_id": "{budget_unit_id}", "organisation_id": "{canteen_id}"},
    "PATCH /v1/buyer/units/<unit_id>": {"name": "第二分校"},
    "POST /v1/buyer/units/<unit_id>/move": {"parent_id": "{top_unit_id}"},
    "POST /v1/buyer/units/<unit_id>/close": {"successor_id": "{top_unit_id}", "reason": "x"},
    "POST /v1/buyer/unit-links": {"parent_id": "{top_unit_id}", "uscc": CATERER},
    "POST /v1/buyer/unit-links/<link_id>/accept": {"unit_id": "{top_unit_id}"},
    "POST /v1/buyer/mandates": {
        "unit_id": "{unit_id}", "uscc": CATERER, "from": "2023-01-01", "to": "2024-01-01", "document": "x",
    },
    "POST /v1/buyer/union-mandates": {"unit_id": "{unit_id}", "from": "2024-01-01", "document": "x"},
    "POST /v1/buyer/mandates/<buying_mandate_id>/answer": {"accept": True},
    "PATCH /v1/buyer/addresses/<address_id>": {"line": "x"},
    "POST /v1/buyer/imports/<import_id>/confirm": {"mode": "all"},
    "POST /v1/buyer/quota-filings": {
        "unit_id": "{unit_id}", "year": 2023, "has_canteen": True, "shared_with_id": "{budget_unit_id}",
        "outsourced_to": "x", "mandate_id": "{given_mandate_id}",
    },
    "POST /v1/buyer/quota-filings/<filing_id>/amend": {
        "has_canteen": True, "shared_with_id": "{budget_unit_id}", "outsourced_to": "x",
        "mandate_id": "{given_mandate_id}",
    },
    "POST /v1/buyer/quota-filings/<filing_id>/review": {"accept": True},
    "POST /v1/admin/quota-filings/<filing_id>/review": {"accept": True},
    "PUT /v1/admin/quota-relaxations": {
        "unit_id": "{unit_id}", "year": 2024, "rate_bp": 500, "document": "x",
    },
    "POST /v1/admin/admission-steps/<step_rule_id>/end": {"to": "2024-11-01", "reason": "x"},
    "POST /v1/admin/admission-documents/<document_rule_id>/end": {"to": "2024-11-01", "reason": "x"},
    "POST /v1/admin/list-rules/<list_rule_id>/end": {"to": "2024-11-01", "reason": "x"},
    "POST /v1/admin/retention-rules/<retention_rule_id>/end": {"to": "2024-11-01", "reason": "x"},
    "POST /v1/admin/order-time-rules/<order_time_rule_id>/end": {"to": "2024-11-01", "reason": "x"},
    "POST /v1/admin/hold-rules/<hold_rule_id>/end": {"to": "2024-11-01", "reason": "x"},
    "POST /v1/buyer/supplier-orders/<supplier_order_id>/supply-choice": {"choice": "wait"},
    **{
        f"POST /v1/{side}/supplier-orders/<supplier_order_id>/changes": {
            "lines": [{"line_id": "{line_id}", "packs": 0}], "reason": "x",
        }
        for side in ("buyer", "cooperative")
    },
    **{
        f"POST /v1/{side}/supplier-orders/<supplier_order_id>/changes/<order_change_id>/answer": {"agree": False}
        for side in ("buyer", "cooperative")
    },
    "POST /v1/buyer/orders/<order_id>/payment-extension": {"reason": "x"},
    "POST /v1/buyer/payments/<charge_id>/voucher": {"file_id": "{buyer_file_id}"},
    "POST /v1/admin/applications/<application_id>/review": DECISION,
    "POST /v1/admin/applications/reviews": {"decisions": [DECISION | {"application_id": "{application_id}"}]},
    "POST /v1/admin/assist-mandates": HELPS | {"cooperative_id": "{cooperative_id}", "reason": "x"},
    "PATCH /v1/admin/organisations/<organisation_id>": {"name": "x", "reason": "x"},
    "POST /v1/admin/sellers/<organisation_id>/close": {"reason": "x"},
    "POST /v1/admin/sellers/<organisation_id>/reinstate": {"reason": "x"},
    "POST /v1/admin/sellers/<organisation_id>/revoke": {"reason": "x"},
    "POST /v1/admin/sellers/<organisation_id>/origins": {
        "county_code": "610629", "valid_from": "2024-10-15", "document": "x",
    },
    "POST /v1/admin/sellers/<organisation_id>/suspend": {"reason": "x"},
    "POST /v1/auth/assist": {"mandate_id": "{assist_mandate_id}"},
    "PATCH /v1/cooperative/application": {"linkage": "x"},
    "PUT /v1/cooperative/application/capacities": {"items": [CAPACITY]},
    "POST /v1/cooperative/agent-mandates": {
        "principal_name": "x", "products": ["苹果"], "valid_from": "2024-10-15", "valid_to": "2024-12-15",
        "file_id": "{file_id}",
    },
    "POST /v1/cooperative/assist-mandates": HELPS,
    "POST /v1/buyer/price-reports": {
        "listing_id": "{any_listing_id}", "seen_fen": 1, "seen_quantity": 5000, "place": "x", "seen_on": "2024-10-15",
        "file_id": "{buyer_file_id}",
    },
    "POST /v1/cooperative/price-alerts/<alert_id>/explain": {"text": "x", "file_id": "{file_id}"},
    "POST /v1/admin/price-alerts/<alert_id>/decide": {"decision": "accept", "reason": "x", "answer": "x"},
    "POST /v1/admin/reference-mappings": {
        "category": "fruit", "name": "x", "market": "x", "reference_kind": "x", "reference_name": "x",
        "from": "2024-10-15",
    },
    "POST /v1/admin/reference-mappings/<mapping_id>/end": {"to": "2024-10-16", "reason": "x"},
    "POST /v1/me/notices/read": {"ids": ["{notice_id}"]},
    "POST /v1/me/webhooks/<endpoint_id>/redeliver": {"event_id": "evt_" + "0" * 32},
}  # fmt: skip

QUERIES: dict[str, Any] = {
    "GET /v1/cooperative/contributions/benefits": {"first": "2024-10-01", "end": "2024-11-01"},
    "POST /v1/cooperative/supplier-orders/<supplier_order_id>/pack": {"location_id": "{location_id}"},
    "GET /v1/buyer/units": {"parent_id": "{budget_unit_id}"},
    "GET /v1/buyer/quota-filings": {"unit_id": "{unit_id}"},
    "GET /v1/buyer/quota-filings/summary": {"unit_id": "{budget_unit_id}", "year": "2024"},
    "GET /v1/admin/quota-filings/summary": {"division_code": "310101", "year": "2024"},
    "GET /v1/buyer/imports/<import_id>/failed-rows": {"format": "csv"},
    "GET /v1/admin/reference-mappings/suggestions": {"name": "苹果"},
    "GET /v1/buyer/imports/templates/<kind>": {"format": "csv"},
    "GET /v1/cooperative/listing-imports/<listing_import_id>/failed-rows": {"format": "csv"},
    "GET /v1/cooperative/listing-imports/template": {"format": "csv"},
}
"""What reads are asked with: what names something of an organisation in their query, and a form that is text."""

WORDS = {"kind": "addresses", "revision": "1", "size": "thumb", "device_draft_id": "idr_" + "0" * 32}
"""Parts of a path that name no row, and the word that stands there."""

SHARED = {
    "GET /v1/admin/quotation-requests/<request_id>/evidence": "the platform looks into everybody's",
    "POST /v1/admin/listings/<listing_id>/review": "the platform reviews everybody's",
    "POST /v1/admin/listings/<listing_id>/delist": "the platform reviews everybody's",
    "POST /v1/admin/listing-reviews": "the platform reviews everybody's",
    "GET /v1/admin/listings/<listing_id>": "the platform reviews everybody's",
    "GET /v1/admin/listings/<listing_id>/revisions": "the platform reviews everybody's",
    "GET /v1/public/listings/<listing_id>/revisions/<revision>": "public",
    "POST /v1/admin/refunds/<refund_id>/sent": "the platform sends everybody's",
    "GET /v1/reports/runs/<run_id>": "runs of the platform are read by all of its members",
    "GET /v1/public/listings/<listing_id>": "public",
    "POST /v1/admin/certificates/<certificate_id>/review": "the platform reviews everybody's",
    "GET /v1/public/photos/<photo_id>/<size>": "public",
    "GET /v1/admin/listings/<listing_id>/price-check": "the platform checks everybody's",
    "GET /v1/admin/price-alerts/<alert_id>": "the platform decides everybody's",
    "POST /v1/admin/price-alerts/<alert_id>/take-up": "the platform decides everybody's",
    "POST /v1/admin/price-alerts/<alert_id>/decide": "the platform decides everybody's",
    "POST /v1/admin/reference-mappings/<mapping_id>/end": "the platform's policy",
    "POST /v1/admin/admission-steps/<step_rule_id>/end": "the platform's policy",
    "POST /v1/admin/admission-documents/<document_rule_id>/end": "the platform's policy",
    "POST /v1/admin/list-rules/<list_rule_id>/end": "the platform's policy",
    "POST /v1/admin/retention-rules/<retention_rule_id>/end": "the platform's policy",
    "POST /v1/admin/order-time-rules/<order_time_rule_id>/end": "the platform's policy",
    "POST /v1/admin/hold-rules/<hold_rule_id>/end": "the platform's policy",
}
"""Operations whose path names what both sides may reach."""

INSTEAD = {
    **{
        f"{method} /v1/buyer/quotation-requests/<request_id>/{deed}": {"request_id": "due_request_id"}
        for method, deed in (("POST", "award"), ("GET", "comparison"))
    },
    **{
        f"GET /v1/{branch}/quotation-requests/<request_id>/evidence": {"request_id": "awarded_request_id"}
        for branch in ("buyer", "admin")
    },
    "GET /v1/buyer/supplier-orders/<supplier_order_id>/inspection": {"supplier_order_id": "inspected_id"},
    **{
        f"{method} /v1/buyer/supplier-orders/<supplier_order_id>/supply-choice": {"supplier_order_id": "paid_late_id"}
        for method in ("GET", "POST")
    },
    **{
        f"POST /v1/{side}/supplier-orders/<supplier_order_id>/changes/<order_change_id>/{deed}": {
            "supplier_order_id": "changing_id",
        }
        for side in ("buyer", "cooperative")
        for deed in ("answer", "withdraw")
    },
    "POST /v1/buyer/unit-links/<link_id>/withdraw": {"link_id": "offered_link_id"},
    "POST /v1/buyer/mandates/<buying_mandate_id>/end": {"buying_mandate_id": "given_mandate_id"},
    "POST /v1/buyer/quota-filings/<filing_id>/file": {"filing_id": "draft_id"},
    "POST /v1/buyer/quota-filings/<filing_id>/amend": {"filing_id": "returned_id"},
    "POST /v1/admin/quota-filings/<filing_id>/review": {"filing_id": "top_filing_id"},
    "PATCH /v1/admin/members/<membership_id>": {"membership_id": "helper_membership_id"},
    "POST /v1/admin/members/<membership_id>/end": {"membership_id": "helper_membership_id"},
    **{
        f"POST /v1/admin/sellers/<organisation_id>/{deed}": {"organisation_id": "cooperative_id"}
        for deed in ("suspend", "reinstate", "revoke", "close", "origins")
    },
}
"""Operations that are asked with another id of the side than the one their path is named after."""

NOT_REACHED = {"POST /v1/me/webhooks/<endpoint_id>/redeliver": "wants an event that was sent before: tests/outbox"}
