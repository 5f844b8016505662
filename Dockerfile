# syntax=docker/dockerfile:1
# One image for every process; docker-compose.yml says which is which.

FROM python:3.12-slim AS build
WORKDIR /app
COPY requirements/run.lock requirements/run.lock
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --no-input --require-hashes --no-deps --only-binary :all: \
      --requirement requirements/run.lock
COPY manage.py ./
COPY tformance tformance
COPY apps apps
# Static files need settings, and settings need values that nothing here connects to.
RUN TFORMANCE_VAR=/var/lib/tformance SECRET_KEY=not-a-secret-only-to-collect-static-files-of-this-image \
    DATABASE_URL=postgres://none/none REDIS_URL=redis://none \
    /venv/bin/python manage.py collectstatic --no-input --verbosity 0

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/tformance tformance
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TFORMANCE_VAR=/var/lib/tformance
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
COPY --from=build --chown=tformance:tformance /var/lib/tformance /var/lib/tformance
# A new volume takes its owner from the folder that it is mounted over.
RUN install --directory --owner=tformance --group=tformance --mode=0700 /var/lib/tformance/backups
USER tformance
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["python", "-m", "tformance.local", "only", "web", "--host", "0.0.0.0"]
