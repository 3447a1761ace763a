# One image for web and worker: `docker run … bridge web`, `docker run --no-healthcheck … bridge worker`
# (the health check asks the web part; a worker's health is on the dashboard and in /metrics). Stopping may take a
# worker 24 s: `docker stop --time 30`, or `stop_grace_period: 30s`. Mount a volume of uid 10001 on /data and set
# BRIDGE_DATA_PERSISTENT=true to have requests kept while Redis is away.
FROM python:3.13-slim AS build
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home bridge && install -d -o bridge -g bridge /data
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/app/bin:/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LOG_FORMAT=json PORT=8000 BRIDGE_DATA=/data
USER bridge
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/livez', timeout=4)"]
CMD ["bridge", "web"]
