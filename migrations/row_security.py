"""Whose rows a request sees: what migrations after 0010 set on the tables that they make.

A policy binds what is read, changed and deleted; rows may be added. A way to see a row is an SQL condition on it.
"""

from alembic import op

EVERYBODY = "(SELECT current_setting('app.sees', true)) = 'all'"
DEEDS = ("SELECT", "UPDATE", "DELETE")


def owned(column: str) -> str:
    """Seen by the organisation that the column names."""
    return f"{column} = (SELECT seen_organisation())"


def belongs(table: str, column: str, parent: str) -> str:
    """Seen with the row of `parent` that the column names; the parent is under policies itself."""
    return f"EXISTS (SELECT 1 FROM {parent} parent WHERE parent.id = {table}.{column})"  # noqa: S608 - names of our own tables and columns


def guard(table: str, *ways: str) -> None:
    """Put a table under row level security: its rows are seen in any of these ways, or by work for everybody."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY add ON {table} FOR INSERT WITH CHECK (true)")
    set_ways(table, *ways)


def change_ways(table: str, *ways: str) -> None:
    """Give a guarded table other ways to see its rows; all of them are named again."""
    for deed in DEEDS:
        op.execute(f"DROP POLICY {deed.lower()}_seen ON {table}")
    set_ways(table, *ways)


def set_ways(table: str, *ways: str) -> None:
    condition = " OR ".join([EVERYBODY, *ways])
    for deed in DEEDS:
        op.execute(f"CREATE POLICY {deed.lower()}_seen ON {table} FOR {deed} USING ({condition})")
