# The image of this project with what MLflow needs to keep its runs in PostgreSQL.
FROM a3c-bench
USER root
COPY requirements-sweep.lock /tmp/lock
RUN grep -E '^psycopg2-binary==' /tmp/lock > /tmp/psycopg2 \
    && /opt/venv/bin/pip install --quiet --no-deps --no-cache-dir --root-user-action ignore --requirement /tmp/psycopg2
USER a3c-bench
