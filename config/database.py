"""The database server as the shop expects it: three roles, one database, two extensions."""

import hashlib
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

DATABASE = "shop"
EXTENSIONS = ("btree_gist", "pg_trgm")  # exclusion over (id, range); search in Chinese text
ROLES = {
    "shop_owner": "LOGIN CREATEDB",  # migrates; makes the databases of the tests
    "shop_app": "LOGIN",  # serves; owns nothing
    "shop_checker": "LOGIN",  # reads every table, writes none
}
ONE_AT_A_TIME = 7_205_196_001  # the advisory lock of prepare_server


def driver_url(url: str) -> str:
    """An address as psycopg itself reads it: SQLAlchemy's `postgresql+psycopg://` is its `postgresql://`."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def prepare_server(admin_url: str, *, database: str = DATABASE, secret: str | None = None, own: bool = False) -> None:
    """Make what is missing of roles, database and extensions; safe at every start and from many runs at once.

    `admin_url` names a superuser, or a role that may create roles and databases. `secret` becomes the password
    of the roles made now; a server reached over a network needs it. A server of our `own` also gets the extensions in
    template1, so that every database made later has them.
    """
    address = driver_url(admin_url)
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("SELECT pg_advisory_lock(%s)", (ONE_AT_A_TIME,))
        for role, rights in ROLES.items():
            if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                password = sql.SQL(" PASSWORD {}").format(sql.Literal(secret)) if secret else sql.SQL("")
                server.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role), sql.SQL(rights)) + password)
        server.execute("GRANT pg_read_all_data TO shop_checker")
        if own:
            _add_extensions(address, "template1")
        else:
            server.execute("GRANT shop_owner TO current_user")  # else only a superuser may hand the database over
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone():
            # Sorting must not depend on the machine: cursors over text would break when its locale is updated.
            like = sql.SQL("" if own else " TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'")
            server.execute(sql.SQL("CREATE DATABASE {} OWNER shop_owner").format(sql.Identifier(database)) + like)
        _add_extensions(address, database)


def _add_extensions(address: str, database: str) -> None:
    with psycopg.connect(address, dbname=database, autocommit=True) as inside:
        for extension in EXTENSIONS:
            inside.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension)))


def addresses(admin_url: str, *, database: str, secret: str) -> dict[str, str]:
    """The SHOP_DATABASE_* settings of a prepared server, reached as `admin_url` reaches it."""
    parts = urlsplit(admin_url)
    place = parts.netloc.rpartition("@")[2]

    def of(role: str) -> str:
        user = f"{role}:{quote(secret, safe='')}"
        return parts._replace(scheme="postgresql+psycopg", netloc=f"{user}@{place}", path=f"/{database}").geturl()

    return {
        "SHOP_DATABASE_URL": of("shop_app"),
        "SHOP_DATABASE_OWNER_URL": of("shop_owner"),
        "SHOP_DATABASE_CHECKER_URL": of("shop_checker"),
    }


def secret_for_tests(admin_url: str) -> str:
    """The password of the roles on a server for tests: the same in every run, unknown without `admin_url`."""
    return hashlib.sha256(f"shop tests {driver_url(admin_url)}".encode()).hexdigest()[:32]
