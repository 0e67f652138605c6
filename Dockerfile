# The pipeline in an image: `make image` builds it from the current commit, `make image-test` tests it.
#
# Where Python packages come from can be told by build arguments (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS) or
# by secrets: `--secret id=pip,src=pip.conf`, and `--secret id=ca,src=bundle.crt` for a certificate authority.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS base
# git: DVC's experiments, and the clone that is verified. tini: signals reach every process of a run.
RUN apt-get update --quiet=2 \
    && DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends git tini >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/apt /var/log/dpkg.log

# The repository at its commit: what is not committed does not come along.
FROM base AS repository
COPY . /context
# Through git's own protocol: a copy of all objects would bring stashes and other branches along.
RUN git clone --quiet --no-local --single-branch --no-tags /context /repo && git -C /repo remote remove origin

# What the lock names, without the code: a change of the code does not build this again.
FROM base AS dependencies
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ENV PIP_CONFIG_FILE=/run/secrets/pip PIP_NO_CACHE_DIR=true PIP_DISABLE_PIP_VERSION_CHECK=true PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY --from=repository /repo/pyproject.toml /repo/requirements.lock ./
# pip has no way to install what a project depends on and not the project: an empty one stands for it.
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    if [ -f /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python -m venv /opt/venv \
    && mkdir -p src/a3c_bench && touch README.md LICENSE src/a3c_bench/__init__.py \
    && /opt/venv/bin/pip install --quiet --constraint requirements.lock setuptools \
    && /opt/venv/bin/pip install --quiet --constraint requirements.lock --no-build-isolation '.[test]' \
    && /opt/venv/bin/pip uninstall --quiet --yes a3c-bench \
    && cd /opt/venv/lib/python3*/site-packages \
    # Headers, static libraries and the packages' own tests: nothing here is compiled or tested.
    && rm -rf torch/include torch/share pyarrow/include pyarrow/src \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && find . \( -name '*.a' -o -name '*.lib' \) -delete

FROM dependencies AS wheel
COPY --from=repository /repo /repo
# The kernels for every kind of CPU of this architecture: which of them runs is decided where the image does.
RUN /opt/venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel /repo \
    && PYTHONPATH=/repo/src /opt/venv/bin/python -m a3c_bench.kernels.build

# What runs needs no compiler, which is large.
FROM dependencies AS environment
RUN /opt/venv/bin/pip uninstall --quiet --yes ziglang

FROM base
RUN useradd --create-home --uid 1000 a3c-bench \
    && install --directory --owner a3c-bench /data \
    && git config --system user.name a3c-bench \
    && git config --system user.email a3c-bench@localhost \
    && git config --system safe.directory '*'
COPY --from=environment /opt/venv /opt/venv
COPY --from=wheel /opt/venv/lib/a3c-bench /opt/venv/lib/a3c-bench
COPY --from=repository /repo/container/entrypoint /usr/local/bin/entrypoint
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    /opt/venv/bin/pip install --quiet --no-deps --no-index --no-cache-dir --root-user-action ignore /wheel/*.whl
COPY --from=repository --chown=1000:1000 /repo /repo
# A relative path: the source of the repository that is mounted comes before the installed one. A container ends with
# its command, so that must not end before all is logged.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=src PYTHONDONTWRITEBYTECODE=1 \
    HOME=/home/a3c-bench LOGNAME=a3c-bench MPLCONFIGDIR=/tmp/matplotlib DVC_SITE_CACHE_DIR=/tmp/dvc \
    DVC_NO_ANALYTICS=true MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true A3C_BENCH_TRACKING=wait
WORKDIR /repo
USER a3c-bench
EXPOSE 5000
ARG REVISION=unknown
LABEL org.opencontainers.image.title="a3c-bench" \
      org.opencontainers.image.description="A reproducible benchmark pipeline for shared-model, multi-process actor-critic (A3C)" \
      org.opencontainers.image.revision="${REVISION}"
# To the whole group: a stage ends with a checkpoint, whoever started it.
ENTRYPOINT ["tini", "-g", "--", "entrypoint"]
CMD ["help"]
