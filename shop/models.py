"""Every table of the shop in one place, for migrations and tests."""

from shop.accounts import models as accounts
from shop.accounts import models_admission as admission
from shop.accounts import models_audit as auditors
from shop.accounts import models_imports, models_quotas, models_units
from shop.accounts import models_mandates as mandates
from shop.accounts import models_people as people
from shop.audit import models as audit
from shop.catalogue import models as catalogue
from shop.catalogue import models_search as search
from shop.catalogue.intake import models as intake
from shop.catalogue.monitoring import models as monitoring
from shop.clock import BusinessClock
from shop.db import Model
from shop.facts import models as facts
from shop.files import models as files
from shop.freight import models as freight
from shop.http import idempotency
from shop.jobs import models as jobs
from shop.ledger import models as ledger
from shop.logistics import models as logistics
from shop.notices import models as notices
from shop.orders import models as orders
from shop.orders import models_budgets
from shop.outbox import models as outbox
from shop.payments import models as payments
from shop.regions import models as regions
from shop.reporting import models as reporting
from shop.requisitions import models as requisitions
from shop.stock import models as stock
from shop.stock import models_allocations, models_contributions, models_documents, models_recalls
from shop.storefront import models as storefront

metadata = Model.metadata
rooms = (
    accounts, admission, audit, auditors, catalogue, facts, files, freight, idempotency, jobs, ledger, logistics,
    mandates, models_budgets, models_imports, models_quotas, models_recalls, models_units, monitoring, notices,
    orders, outbox, payments, people, regions, reporting, requisitions, stock, storefront, BusinessClock,
    accounts, admission, auditors, mandates, audit, catalogue, facts, files, freight, idempotency, jobs, ledger,
    logistics, models_imports, models_quotas, models_units, notices, orders, outbox, payments, people, regions,
    reporting, search, stock, storefront, BusinessClock,
    accounts, admission, auditors, mandates, audit, catalogue, facts, files, freight, idempotency, intake, jobs,
    ledger, logistics, models_imports, models_quotas, models_units, notices, orders, outbox, payments, people, regions,
    reporting, stock, storefront, BusinessClock,
    reporting, stock, BusinessClock,
    logistics, models_contributions, models_documents, models_imports, models_quotas, models_recalls, models_units,
    notices, orders, outbox, payments, people, regions, reporting, requisitions, stock, BusinessClock,
    logistics, models_allocations, models_contributions, models_documents, models_imports, models_quotas,
    models_recalls, models_units, notices, orders, outbox, payments, people, regions, reporting, requisitions, stock,
    BusinessClock,
)  # fmt: skip

APPEND_ONLY = (
    "ledger_transaction", "ledger_entry", "fact", "event", "audit_entry", "order_history", "listing_revision",
    "movement", "tracking_event", "audit_acknowledgement", "acceptance", "acceptance_line", "quota_filing_history",
    "application_review", "selling_history", "requisition_decision", "budget_entry", "stock_take",
    "stock_take_line",
    "application_review", "selling_history", "stock_take", "stock_take_line", "allocation", "allocation_share",
    "requisition_decision",
)  # fmt: skip
"""Tables that the application's role may only add to (and number, where they have a `posted_no`)."""
