"""Every setting of the shop, read from the environment once and frozen."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


class SettingsError(Exception):
    """The environment does not say what the shop needs, or says something unsafe."""


DEMO_SECRET = "made-for-the-embedded-start-only"  # noqa: S105 - refused in production below


@dataclass(frozen=True, slots=True)
class Settings:
    """What the processes of one shop share. Addresses are URLs; `var` is the folder that a run may write to."""

    env: str
    var: Path
    database_url: str
    database_owner_url: str
    database_checker_url: str
    broker_url: str
    host: str
    port: int
    public_url: str
    secret_key: str
    stripe_api: str
    stripe_secret_key: str
    stripe_webhook_secret: str
    smtp_url: str
    mail_from: str
    sms_url: str
    sms_secret: str
    files: str
    web_threads: int
    requests_per_minute: int
    trusted_proxies: int
    log_level: str
    access_log: bool

    @property
    def production(self) -> bool:
        return self.env == "production"


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from an environment, or a SettingsError that names the variable."""

    def text(name: str, default: str | None = None) -> str:
        value = environment.get(name, "") or default
        if value is None:
            raise SettingsError(f"{name} is not set; see the README, 'Settings'.")
        return value

    def number(name: str, default: int) -> int:
        value = text(name, str(default))
        if not value.isascii() or not value.isdigit():
            raise SettingsError(f"{name} must be a whole number, not {value!r}.")
        return int(value)

    def switch(name: str, *, on: bool) -> bool:
        value = text(name, "on" if on else "off")
        if value not in ("on", "off"):
            raise SettingsError(f"{name} must be on or off, not {value!r}.")
        return value == "on"

    env = text("SHOP_ENV", "embedded")
    if env not in ("embedded", "test", "production"):
        raise SettingsError(f"SHOP_ENV must be embedded, test or production, not {env!r}.")
    secret = text("SHOP_SECRET_KEY", None if env == "production" else DEMO_SECRET)
    if env == "production" and (secret == DEMO_SECRET or len(secret) < 32):
        raise SettingsError("SHOP_SECRET_KEY must be a secret of at least 32 characters in production.")
    host, port = text("SHOP_HOST", "127.0.0.1"), number("SHOP_PORT", 8000)
    var = Path(text("SHOP_VAR", "var")).resolve()
    database = text("SHOP_DATABASE_URL")
    return Settings(
        env=env,
        var=var,
        database_url=database,
        database_owner_url=text("SHOP_DATABASE_OWNER_URL", database),
        database_checker_url=text("SHOP_DATABASE_CHECKER_URL", database),
        broker_url=text("SHOP_BROKER_URL"),
        host=host,
        port=port,
        public_url=text("SHOP_PUBLIC_URL", f"http://{host}:{port}"),
        secret_key=secret,
        stripe_api=text("SHOP_STRIPE_API", "https://api.stripe.com" if env == "production" else "http://127.0.0.1:1"),
        stripe_secret_key=text("SHOP_STRIPE_SECRET_KEY", None if env == "production" else "sk_test_embedded"),
        stripe_webhook_secret=text("SHOP_STRIPE_WEBHOOK_SECRET", None if env == "production" else "whsec_embedded"),
        smtp_url=text("SHOP_SMTP_URL", None if env == "production" else "file:"),
        mail_from=text("SHOP_MAIL_FROM", "shop@example.com"),
        sms_url=environment.get("SHOP_SMS_URL", ""),
        sms_secret=text("SHOP_SMS_SECRET", None if environment.get("SHOP_SMS_URL") else "unused"),
        files=text("SHOP_FILES", str(var / "files")),
        web_threads=number("SHOP_WEB_THREADS", 4),
        requests_per_minute=number("SHOP_REQUESTS_PER_MINUTE", 6000),
        trusted_proxies=number("SHOP_TRUSTED_PROXIES", 0),
        log_level=text("SHOP_LOG_LEVEL", "INFO"),
        access_log=switch("SHOP_ACCESS_LOG", on=True) and text("SHOP_LOG_LEVEL", "INFO").upper() in ("DEBUG", "INFO"),
    )


@cache
def settings() -> Settings:
    """The settings of this process."""
    return read(os.environ)
