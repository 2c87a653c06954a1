"""The database server as the shop expects it: three roles, one database, two extensions.

`python -m config.database` makes them on a server of production, with the user names, passwords and the database that
SHOP_DATABASE_URL, SHOP_DATABASE_OWNER_URL and SHOP_DATABASE_CHECKER_URL name; SHOP_DATABASE_ADMIN_URL is the superuser
who makes them and is needed for nothing else. It may be run again at any time, also to change a password.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

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


def prepare_server(
    admin_url: str, *, database: str = DATABASE, passwords: Mapping[str, str] | None = None, own: bool = False
) -> None:
    """Make what is missing of roles, database and extensions; safe at every start and from many runs at once.

    `admin_url` names a superuser, or a role that may create roles and databases. `passwords` (role → password)
    are set on the roles; a server reached over a network needs them. A server of our `own` also gets the extensions in
    template1, so that every database made later has them.
    """
    address = driver_url(admin_url)
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("SELECT pg_advisory_lock(%s)", (ONE_AT_A_TIME,))
        for role, rights in ROLES.items():
            if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                server.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role), sql.SQL(rights)))
            if passwords:
                # Hashed here, so that the password itself stands in no log of the server.
                hashed = server.pgconn.encrypt_password(passwords[role].encode(), role.encode()).decode()
                server.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(hashed)))
        server.execute("GRANT pg_read_all_data TO shop_checker")
        server.execute("GRANT pg_signal_backend TO shop_owner")  # a database in use is dropped by ending its sessions
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


def main() -> None:
    """Prepare the server that the environment names."""
    names = {
        "shop_owner": "SHOP_DATABASE_OWNER_URL",
        "shop_app": "SHOP_DATABASE_URL",
        "shop_checker": "SHOP_DATABASE_CHECKER_URL",
    }
    missing = [name for name in ("SHOP_DATABASE_ADMIN_URL", *names.values()) if not os.environ.get(name)]
    if missing:
        sys.exit(f"Not set: {', '.join(missing)}.")
    parts = {role: urlsplit(os.environ[name]) for role, name in names.items()}
    for role, address in parts.items():
        if address.username != role or not address.password:
            sys.exit(f"{names[role]} must name the user {role} and a password.")
    databases = {unquote(address.path.lstrip("/")) for address in parts.values()}
    if len(databases) != 1:
        sys.exit(f"The three addresses must name one database, not {', '.join(sorted(databases))}.")
    passwords = {role: unquote(address.password or "") for role, address in parts.items()}
    prepare_server(os.environ["SHOP_DATABASE_ADMIN_URL"], database=databases.pop(), passwords=passwords)
    print(f"The roles {', '.join(ROLES)} and their database are there.")  # noqa: T201


if __name__ == "__main__":
    main()
