"""search: narrow entries and postings that listings are found, counted and sorted by; varieties

The entries and postings of the listings that are there are made here, so that nothing is missing from a list while the
new code starts; a sweep writes them once more, with the terms, whose spelling no SQL knows. The columns
`listing.search_text` and `listing.grams` stay for processes of before, which write them.
"""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

SHOWN = sa.text("shown")
SORTED = {"price": "price_fen", "price_per_kg": "price_per_kg_fen", "newest": "listed_at", "best_selling": "sold_grams"}
OLD = [
    f"ix_listing_{facet}{sort}"
    for facet in ("", "category_", "origin_", "province_", "storage_")
    for sort in ("price", "newest")
]

FILL_ENTRIES = """
INSERT INTO search_entry (listing_id, shown, category, storage, county, province, key_county, certificates, season_from,
    season_to, stock_until, price_fen, price_per_kg_fen, listed_at, sold_grams, search_text, search_words, posted)
SELECT l.id, l.status = 'listed' AND l.listed_at IS NOT NULL, p.category, p.storage, p.origin_code,
    left(p.origin_code, 2) || '0000', 'key_160' = ANY (p.tags),
    COALESCE((
        SELECT bit_or(CASE c.kind WHEN 'organic' THEN 1 WHEN 'green' THEN 2 ELSE 4 END)
        FROM certificate c WHERE c.product_id = p.id AND c.expires_on > current_date
    ), 0),
    l.season_from, l.season_to,
    (SELECT max(s.ready_to) FROM supply s WHERE s.listing_id = l.id AND NOT s.closed AND s.open > 0),
    l.price_fen,
    (2 * l.price_fen * 1000 + CASE l.base_unit WHEN 'g' THEN l.pack_base_quantity ELSE l.pack_grams END)
        / (2 * CASE l.base_unit WHEN 'g' THEN l.pack_base_quantity ELSE l.pack_grams END),
    l.listed_at,
    COALESCE((
        SELECT sum(o.packs * o.pack_grams) FROM order_line o JOIN supplier_order so ON so.id = o.supplier_order_id
        WHERE o.listing_id = l.id AND so.status NOT IN ('placed', 'cancelled')
    ), 0),
    concat_ws(E'\\n', as_compared(p.name), as_compared(d.name)),
    COALESCE((
        SELECT string_agg(E'\\t' || as_compared(w), '' ORDER BY n)
        FROM regexp_split_to_table(p.name_en, E'\\\\s+') WITH ORDINALITY AS t(w, n) WHERE as_compared(w) <> ''
    ), ''),
    ''
FROM listing l JOIN product p ON p.id = l.product_id
LEFT JOIN division d ON d.code = p.origin_code AND d.level = 'county'
    AND d.valid_from <= current_date AND (d.valid_to IS NULL OR d.valid_to > current_date)
"""
AS_COMPARED = """
CREATE FUNCTION pg_temp.as_compared(text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT regexp_replace(lower(normalize($1, NFKC)), '[[:space:][:cntrl:]]', '', 'g') $$
"""
FILL_POSTINGS = """
INSERT INTO search_posting (word, place, listing_id)
SELECT w.word,
    min(w.fit) * 35184372088832
        + (31 - least(length(ltrim(((e.sold_grams / 1000)::bit(62))::text, '0')), 31)) * 1099511627776
        + 1099511627775 - floor(extract(epoch FROM e.listed_at))::bigint,
    e.listing_id
FROM search_entry e
CROSS JOIN LATERAL string_to_table(e.search_text, E'\\n') WITH ORDINALITY AS f(line, field)
CROSS JOIN LATERAL generate_series(1, length(f.line)) AS start
CROSS JOIN LATERAL generate_series(1, least(4, length(f.line) - start + 1)) AS size
CROSS JOIN LATERAL (
    SELECT substr(f.line, start, size) AS word,
        CASE WHEN f.field > 1 THEN 4 WHEN size = length(f.line) THEN 0 WHEN start = 1 THEN 1 ELSE 2 END AS fit
) AS w
WHERE e.shown
GROUP BY w.word, e.listing_id, e.sold_grams, e.listed_at
"""
FILL_WHOLE_NAMES = """
INSERT INTO search_posting (word, place, listing_id)
SELECT split_part(e.search_text, E'\\n', 1),
    (31 - least(length(ltrim(((e.sold_grams / 1000)::bit(62))::text, '0')), 31)) * 1099511627776
        + 1099511627775 - floor(extract(epoch FROM e.listed_at))::bigint,
    e.listing_id
FROM search_entry e WHERE e.shown AND length(split_part(e.search_text, E'\\n', 1)) > 4
"""
FILL_ENGLISH = """
INSERT INTO search_posting (word, place, listing_id)
SELECT DISTINCT left(w.word, size),
    2 * 35184372088832
        + (31 - least(length(ltrim(((e.sold_grams / 1000)::bit(62))::text, '0')), 31)) * 1099511627776
        + 1099511627775 - floor(extract(epoch FROM e.listed_at))::bigint,
    e.listing_id
FROM search_entry e
CROSS JOIN LATERAL string_to_table(ltrim(e.search_words, E'\\t'), E'\\t') AS w(word)
CROSS JOIN LATERAL generate_series(1, least(4, length(w.word))) AS size
WHERE e.shown AND NOT EXISTS (
    SELECT FROM search_posting p WHERE p.listing_id = e.listing_id AND p.word = left(w.word, size)
)
"""

KEEP_STOCK = """
CREATE FUNCTION keep_stock_until() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    listing uuid := COALESCE(NEW.listing_id, OLD.listing_id);
BEGIN
    -- Locked first and asked again after it, so that of two who change a listing's supply the later sees both.
    PERFORM 1 FROM search_entry WHERE listing_id = listing FOR NO KEY UPDATE;
    UPDATE search_entry SET stock_until = (
        SELECT max(s.ready_to) FROM supply s WHERE s.listing_id = listing AND NOT s.closed AND s.open > 0
    ) WHERE listing_id = listing;
    RETURN NULL;
END $$
"""


def fill(run: Callable[[str], object]) -> None:
    """Make the entries and postings of the listings that are there."""
    run(AS_COMPARED)
    run(FILL_ENTRIES.replace("as_compared(", "pg_temp.as_compared("))
    run(FILL_POSTINGS)
    run(FILL_WHOLE_NAMES)
    run(FILL_ENGLISH)


def upgrade() -> None:
    op.add_column("product", sa.Column("variety", sa.Text(), server_default="", nullable=False))
    op.alter_column("listing", "search_text", server_default="")
    op.alter_column("listing", "grams", server_default="{}")
    op.create_table(
        "search_entry",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("storage", sa.Text(), nullable=False),
        sa.Column("county", sa.Text(), nullable=False),
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("key_county", sa.Boolean(), nullable=False),
        sa.Column("certificates", sa.SmallInteger(), nullable=False),
        sa.Column("season_from", sa.SmallInteger(), nullable=False),
        sa.Column("season_to", sa.SmallInteger(), nullable=False),
        sa.Column("stock_until", sa.Date(), nullable=True),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("price_per_kg_fen", sa.BigInteger(), nullable=False),
        sa.Column("listed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("sold_grams", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("search_words", sa.Text(), nullable=False),
        sa.Column("posted", sa.Text(), nullable=False),
        sa.CheckConstraint("NOT shown OR listed_at IS NOT NULL", name=op.f("ck_search_entry_listed")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_search_entry_listing_id")),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_search_entry")),
    )
    op.create_table(
        "search_posting",
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("word", "place", "listing_id", name=op.f("pk_search_posting")),
    )
    op.create_table(
        "search_term",
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("letters", sa.Text(), nullable=False),
        sa.Column("initials", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('name', 'variety', 'county', 'english')", name=op.f("ck_search_term_kind")),
        sa.PrimaryKeyConstraint("text", "kind", name=op.f("pk_search_term")),
    )
    for name, column in (("text", "text"), ("spelt", "letters"), ("initials", "initials")):
        op.create_index(f"ix_search_term_{name}", "search_term", [column], postgresql_ops={column: "text_pattern_ops"})
    op.create_index(
        "ix_search_term_letters",
        "search_term",
        ["letters", "initials"],
        postgresql_using="gin",
        postgresql_ops={"letters": "gin_trgm_ops", "initials": "gin_trgm_ops"},
    )
    fill(op.execute)
    for name, facet in (("", ()), ("category_", ("category",))):
        for sort, column in SORTED.items():
            op.create_index(
                f"ix_search_entry_{name}{sort}", "search_entry", [*facet, column, "listing_id"], postgresql_where=SHOWN
            )
    op.create_index(
        "ix_search_entry_unposted", "search_entry", ["listing_id"], postgresql_where=sa.text("shown AND posted = ''")
    )
    op.create_index("ix_search_entry_county", "search_entry", ["county"], postgresql_where=SHOWN)
    op.create_index(
        "ix_search_entry_province_price",
        "search_entry",
        ["province", "price_fen", "listing_id"],
        postgresql_where=SHOWN,
    )
    op.create_index("ix_search_posting_listing_id", "search_posting", ["listing_id"])
    op.execute(KEEP_STOCK)
    op.execute(
        "CREATE TRIGGER stock_begins AFTER INSERT ON supply FOR EACH ROW"
        " WHEN (NEW.open > 0 AND NOT NEW.closed) EXECUTE FUNCTION keep_stock_until()"
    )
    op.execute(
        "CREATE TRIGGER stock_turns AFTER UPDATE ON supply FOR EACH ROW"
        " WHEN ((OLD.open > 0 AND NOT OLD.closed) <> (NEW.open > 0 AND NOT NEW.closed)"
        " OR OLD.ready_to <> NEW.ready_to) EXECUTE FUNCTION keep_stock_until()"
    )
    op.execute(
        "CREATE TRIGGER stock_goes AFTER DELETE ON supply FOR EACH ROW"
        " WHEN (OLD.open > 0 AND NOT OLD.closed) EXECUTE FUNCTION keep_stock_until()"
    )
    for name in [*OLD, "ix_listing_grams"]:
        op.drop_index(name, "listing")


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
