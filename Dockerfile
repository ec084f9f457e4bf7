# The server in one image: `docker run … holdwire serve | gateway | c2s`, and the other commands. Configured by HOLDWIRE_*.

FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build \
  && npm prune --omit=dev \
  && rm -f node_modules/.package-lock.json \
  # Of uWebSockets.js: the binary for this platform and this Node, and what loads it. The others are 250 MB.
  && cd node_modules/uWebSockets.js \
  && keep="$(node -p '`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`')" \
  && find . -mindepth 1 -maxdepth 1 ! -name package.json ! -name LICENSE ! -name uws.js ! -name "$keep" -exec rm -rf {} +

FROM node:20-bookworm-slim
ENV NODE_ENV=production \
  HOLDWIRE_HOST=0.0.0.0
WORKDIR /app
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/proto/generated proto/generated
COPY --from=build /app/dist dist
# The user `node`, as a number so that Kubernetes can see that it is not root. It owns nothing here.
USER 1000:1000
EXPOSE 8000 9000
ENTRYPOINT ["node", "--max-semi-space-size=8", "dist/gateway/main.js"]
CMD ["serve"]
