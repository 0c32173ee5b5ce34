# The worker, and `trainer stream` for the simulated line; from the repository's root:
#   docker build -f deploy/worker.Dockerfile -t strandwatch:0.1.0 .
# It serves on the CPU; the CUDA libraries are not part of it.

FROM python:3.12-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/strandwatch
WORKDIR /src
COPY requirements/uv.txt requirements/worker.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt
RUN uv venv "$VIRTUAL_ENV" && uv pip install --require-hashes -r requirements/worker.txt
COPY LICENSE README.md pyproject.toml ./
COPY models models
COPY trainer trainer
COPY worker worker
# The build backend comes from the lock, so the build itself fetches nothing.
RUN uv pip install --no-deps --no-build-isolation .

FROM python:3.12-slim
COPY --from=build /opt/strandwatch /opt/strandwatch
ENV PATH=/opt/strandwatch/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 9464
STOPSIGNAL SIGTERM
# http.client, because urllib would ask a proxy named in the environment for 127.0.0.1.
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s CMD ["python", "-c", "\
import http.client, os, sys; \
ask = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('STRANDWATCH_HTTP__PORT', 9464)), timeout=2); \
ask.request('GET', '/readyz'); \
sys.exit(ask.getresponse().status != 200)"]
ENTRYPOINT ["worker"]
CMD ["run"]
