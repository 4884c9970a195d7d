# The action-side image: the tool environment, git and the entrypoint; no torch.
#
# BASE needs python3 (3.11 or newer) with venv and pip, on Debian. The digest is the one that
# docker-library/repo-info lists for this tag on 2026-08-25 (Python 3.12.14).
ARG BASE=python:3.12-slim-bookworm@sha256:0f5b26b9518d002b6173fd61daad821fa340635ebfec5bba471013f9ca114579


FROM ${BASE} AS build
WORKDIR /src
COPY requirements/action.txt requirements/build.txt ./
# The tests that numpy and scipy ship are a sixth of the environment and nobody runs them here.
RUN python3 -m venv --without-pip /opt/torchproof \
 && python3 -m pip --python /opt/torchproof/bin/python install --no-cache-dir --only-binary :all: \
    --require-hashes -r action.txt \
 && find /opt/torchproof/lib -type d -name tests -prune -exec rm -rf {} + \
 && python3 -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY templates templates
COPY examples/digits examples/digits
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel . \
 && python3 -m pip --python /opt/torchproof/bin/python install --no-cache-dir --no-deps /wheel/*.whl


FROM ${BASE}
RUN command -v git > /dev/null || { \
      apt-get update && apt-get install -y --no-install-recommends git \
      && rm -rf /var/lib/apt/lists/*; }
COPY --from=build /opt/torchproof /opt/torchproof
COPY entrypoint /entrypoint
# A named volume takes over the mode of the directory it first covers, and the sealed process that
# writes there has the uid of the workspace's owner.
RUN ln -s /entrypoint /post-entrypoint \
 && mkdir -p /torchproof/cache /torchproof/locks \
 && chmod 1777 /torchproof/cache /torchproof/locks
# The GPU belongs to the sealed sibling, which asks the engine for its device; without "void" a
# host whose default runtime is nvidia could not even start this container while its driver is down.
ENV PATH=/opt/torchproof/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NVIDIA_VISIBLE_DEVICES=void
ENTRYPOINT ["/entrypoint"]
