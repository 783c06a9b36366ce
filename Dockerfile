FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /opt/ai-hub && \
    /opt/ai-hub/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt '.[cloud,otel]' && \
    /opt/ai-hub/bin/pip uninstall --yes pip

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin ai-hub && \
    install --directory --owner=ai-hub --group=ai-hub /data
COPY --from=build /opt/ai-hub /opt/ai-hub
# Inside its network the service listens on every address, once AI_HUB_INSECURE=1 says that who
# reaches it may do all; compose.yaml does, and says who that is.
ENV PATH=/opt/ai-hub/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AI_HUB_HOST=0.0.0.0 \
    AI_HUB_PORT=8003 \
    AI_HUB_DATABASE_URL=duckdb:////data/features.duckdb \
    AI_HUB_EXPORT_ROOT=/data/exports
WORKDIR /data
VOLUME ["/data"]
USER 10001
EXPOSE 8003
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['AI_HUB_PORT'] + '/health', timeout=3)"]
ENTRYPOINT ["ai-hub"]
CMD ["serve"]
