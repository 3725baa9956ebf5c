# The example application, as docker-compose.yml runs it.
FROM python:3.13-slim

WORKDIR /app
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY fastapi_filestore fastapi_filestore
COPY example_app example_app
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

RUN useradd --system --create-home app
USER app
EXPOSE 8000
CMD ["uvicorn", "example_app.main:app", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "5"]
