# syntax=docker/dockerfile:1
# One image for every role: `run` (everything, the default), `web`, `worker`, `migrate`, `doctor`, `bucket`.
# docs/deploying.md says how to use it; tests/deploy runs the stages' commands in clean folders.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

# The locked packages, installed as `make run` does: by hash, without resolving.
FROM ${PYTHON_IMAGE} AS packages
WORKDIR /app
COPY pyproject.toml requirements.txt ./
COPY scripts/setup.sh scripts/setup.sh
RUN scripts/setup.sh run requirements.txt

# The pages, built at the path where they are served: their stamp names it.
FROM packages AS pages
COPY rxconfig.py ./
COPY reflex.lock reflex.lock
COPY assets assets
COPY videovault videovault
RUN .venv/bin/python -m videovault build

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="VideoVault" \
      org.opencontainers.image.description="Make avatar videos by webhook and keep them safe in your own S3 bucket"
RUN groupadd --system --gid 10001 videovault \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin videovault \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data
WORKDIR /app
COPY --from=packages /app/.venv .venv
COPY --from=pages /app/.web/build/client .web/build/client
COPY --from=pages /app/.web/backend .web/backend
COPY --from=pages /app/.web/videovault.stamp .web/videovault.stamp
COPY pyproject.toml rxconfig.py alembic.ini ./
COPY reflex.lock reflex.lock
COPY assets assets
COPY alembic alembic
COPY videovault videovault
COPY deploy/healthcheck.py deploy/healthcheck.py
RUN .venv/bin/python -m compileall -q rxconfig.py alembic videovault deploy

# PYTHONDONTWRITEBYTECODE: the root file system may be read-only; everything is compiled already.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=3000 \
    WORKER_PORT=3001 \
    DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "deploy/healthcheck.py", "web"]
ENTRYPOINT ["python", "-m", "videovault"]
CMD ["run"]
