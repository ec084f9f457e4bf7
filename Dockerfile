# The server in one image: `docker run … holdwire serve | gateway | c2s`, and the other commands. Configured by HOLDWIRE_*;
# docs/container.md. What is in it is decided by build/image.js, which a test runs without a container.

# What it runs on: Node 24, which is what the build below takes, on glibc 2.38 or newer, which uWebSockets.js needs (Debian 13 has
# 2.41). gcr.io/distroless/nodejs24-debian13 does too, and has no shell.
ARG RUNTIME=node:24-trixie-slim

FROM node:24-trixie-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN ["npm", "ci"]
COPY . .
RUN ["node", "build/image.js", "/image/app"]
# For HOLDWIRE_DATA_DIR: a volume that is mounted there first takes its owner from here.
RUN ["mkdir", "/image/data"]

FROM ${RUNTIME}
ARG RUNTIME
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="holdwire" \
  org.opencontainers.image.description="Multi-protocol push gateway: BOSH, long polling, WebSocket and SSE behind one session abstraction, on NATS" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}" \
  org.opencontainers.image.base.name="${RUNTIME}"
# Where either base has its node.
ENV PATH=/usr/local/bin:/nodejs/bin:/usr/bin:/bin \
  NODE_ENV=production \
  HOLDWIRE_HOST=0.0.0.0
WORKDIR /app
COPY --from=build --chown=65532:65532 /image/data /data
# Owned by root: the server can't change itself.
COPY --from=build --chown=0:0 /image/app /app
# A number, so that Kubernetes can see that it is not root. No such user needs to exist.
USER 65532:65532
EXPOSE 8000 9000
# The server is process 1: it takes signals itself and starts no processes that somebody would have to bury.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["node", "/app/dist/gateway/main.js", "health"]
ENTRYPOINT ["node", "--max-semi-space-size=8", "/app/dist/gateway/main.js"]
CMD ["serve"]
