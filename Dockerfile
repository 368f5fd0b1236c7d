# The receiver's image, and with `--target kfp-local` the same with the SDK for local pipelines.
#
# Nothing here needs this machine's settings: a package mirror and its certificate are handed in as
# secrets (`--secret id=pip.conf,src=...`), which are mounted while pip runs and stored nowhere.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-bookworm

# ----- what pip needs, and stays behind
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements/build.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca.crt,target=/run/secrets/ca.crt \
    python3 -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt

# ----- the service: wheels first, so that its environment never has pip or a build tool
FROM build AS build-receiver
COPY requirements/runtime.txt requirements/
# kfp-server-api is published as source only; everything else must come as a wheel.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca.crt,target=/run/secrets/ca.crt \
    /opt/build/bin/pip wheel --require-hashes --no-build-isolation \
        --only-binary=:all: --no-binary=kfp-server-api \
        --wheel-dir /opt/wheels -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY receiver receiver
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /opt/wheels . \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/build/bin/pip --python /opt/venv/bin/python install \
        --no-index --no-deps --no-compile /opt/wheels/*.whl \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

# ----- local pipelines: the kfp SDK pins HTTP libraries exactly, so it lives by itself
FROM build AS build-kfp
COPY requirements/kfp-local.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca.crt,target=/run/secrets/ca.crt \
    /opt/build/bin/pip wheel --require-hashes --no-build-isolation \
        --only-binary=:all: --no-binary=kfp,kfp-server-api \
        --wheel-dir /opt/wheels -r requirements/kfp-local.txt \
    && python3 -m venv --without-pip /opt/venv-kfp \
    && /opt/build/bin/pip --python /opt/venv-kfp/bin/python install \
        --no-index --no-deps --no-compile /opt/wheels/*.whl \
    && /opt/venv-kfp/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv-kfp/lib

# ----- what runs
FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="retrain-receiver" \
      org.opencontainers.image.description="Alertmanager says that a model got worse: decide, start one retraining run, keep every decision." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="https://github.com/retrain-receiver/retrain-receiver" \
      org.opencontainers.image.licenses="Apache-2.0"
# Group 0, so that the arbitrary user ids of OpenShift can write as well.
RUN install -d -m 0770 -o 65532 -g 0 /data
COPY --from=build-receiver /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /data
VOLUME ["/data"]
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# For compose; Kubernetes has probes of its own and ignores it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/-/ready', timeout=4)"]
ENTRYPOINT ["/opt/venv/bin/retrain-receiver"]
CMD ["serve", "--config", "/etc/retrain-receiver/receiver.yaml", "--listen", "0.0.0.0:8080"]

FROM runtime AS kfp-local
COPY --from=build-kfp /opt/venv-kfp /opt/venv-kfp
USER 0
# Beside the service's environment is where `endpoint: local` looks without the setting `python`.
RUN ln -s venv-kfp /opt/.venv-kfp
USER 65532:65532

# The last one is what is built without `--target`.
FROM runtime AS receiver
