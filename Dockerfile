# syntax=docker/dockerfile:1
# One image for web, worker, tick and migrate; docker-compose.yml says which it is. Runs as a user without rights.

FROM python:3.11-slim-bookworm AS build
WORKDIR /app
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/ requirements/
# Every package is checked against the hash in the lock.
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --quiet --require-hashes --no-deps --target /opt/uv -r requirements/uv.txt \
 && /opt/uv/bin/uv pip sync --quiet --require-hashes --compile-bytecode --no-cache --python /opt/venv/bin/python requirements/run.txt
COPY . .
# The static files are part of the image; the keys of this step exist only during it.
RUN DATA_DIR=/tmp/build STATIC_ROOT=/app/staticfiles /opt/venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
 && rm -rf /tmp/build tests bench .git \
 && /opt/venv/bin/python -m compileall -q .

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 crm && useradd --system --uid 10001 --gid crm --home-dir /data --shell /usr/sbin/nologin crm \
 && install --directory --owner=crm --group=crm --mode=0700 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data STATIC_ROOT=/app/staticfiles
USER crm
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["uvicorn", "crm_mail.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "2", "--no-access-log", "--no-proxy-headers", "--lifespan", "off"]
