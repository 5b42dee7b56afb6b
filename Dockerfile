# The HTTP server. Set MEMORIES_HTTP_TOKEN or sign-in: without them, the server refuses to listen on 0.0.0.0 and exits.
#   docker build -t memories-mcp .
#   docker run -p 8000:8000 -e MEMORIES_HTTP_TOKEN -e MEMORIES_API_KEY -e MEMORIES_ALLOWED_HOSTS=localhost:8000 memories-mcp
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY memories_mcp memories_mcp
COPY langchain_tools langchain_tools
RUN python -m venv /app \
    && /app/bin/pip install --no-cache-dir --no-compile -c constraints.txt '.[team]' \
    && /app/bin/python -m compileall -q -j 0 /app/lib

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home memories
COPY --from=build /app /app
ENV PATH="/app/bin:$PATH" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
ENTRYPOINT ["memories-mcp"]
CMD ["--transport", "http", "--host", "0.0.0.0", "--port", "8000"]
