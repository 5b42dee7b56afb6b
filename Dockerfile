# The HTTP server. Set MEMORIES_HTTP_TOKEN or sign-in: without them, the server refuses to listen on 0.0.0.0 and exits.
#   docker build -t memories-mcp --build-arg VERSION=… --build-arg REVISION=$(git rev-parse HEAD) .
#   docker run -p 8000:8000 -e MEMORIES_HTTP_TOKEN -e MEMORIES_API_KEY -e MEMORIES_ALLOWED_HOSTS=localhost:8000 \
#     --read-only --tmpfs /tmp memories-mcp
# For the same image at each build, pin the base: `docker buildx imagetools inspect python:3.13-slim` prints its digest.
#   --build-arg BASE=python:3.13-slim@sha256:…
ARG BASE=python:3.13-slim
FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY memories_mcp memories_mcp
COPY langchain_tools langchain_tools
RUN python -m venv --without-pip /app \
    && python -m pip --python /app/bin/python install --no-cache-dir --no-compile -c constraints.txt '.[team]' \
    && /app/bin/python -m compileall -q -j 0 /app/lib

FROM ${BASE}
ARG VERSION=""
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="memories-mcp" \
      org.opencontainers.image.description="MCP server for the Memories.ai video-understanding API" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
RUN useradd --system --uid 10001 --user-group --no-create-home memories \
    && python -m pip uninstall -q -y --root-user-action=ignore pip \
    && rm -rf /usr/local/lib/python3*/ensurepip
COPY --from=build /app /app
ENV PATH="/app/bin:$PATH" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=3)"]
ENTRYPOINT ["memories-mcp"]
CMD ["--transport", "http", "--host", "0.0.0.0", "--port", "8000"]
