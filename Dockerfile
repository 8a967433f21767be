# The image of kith: the compiled program and its production dependencies, run by a user of its own. The root file
# system may be read-only; /data is the only folder a node writes to. BASE_IMAGE is any Debian-like image with Node 24
# and npm; test/cluster/setup makes one where no image registry can be reached. Two optional build secrets:
# `npmrc`, npm's configuration, and `ca`, more certificate authorities to trust while packages are fetched.
ARG BASE_IMAGE=node:24-bookworm-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
ENV NODE_EXTRA_CA_CERTS=/run/secrets/ca NPM_CONFIG_USERCONFIG=/run/secrets/npmrc
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc --mount=type=secret,id=ca \
    npm ci --ignore-scripts --no-audit --no-fund
COPY scripts scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund --offline

FROM ${BASE_IMAGE}
ENV NODE_ENV=production KITH_DATA_DIR=/data KITH_HTTP=0.0.0.0:8080 KITH_LISTEN=/ip4/0.0.0.0/tcp/9000
# Volumes take the owner of the folder they are mounted at when they are new.
RUN install -d -o 10001 -g 10001 /data /cluster && ln -s /app/dist/cli/main.js /usr/local/bin/kith
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist dist
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8080 9000
STOPSIGNAL SIGTERM
# Whether it serves, not whether it lives: a node that waits for its key or its chain is best left alone.
HEALTHCHECK --interval=10s --timeout=10s --start-period=300s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8080/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["node"]
