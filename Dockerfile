# The daemon as an image: docker build -t rbgctrl:dev .
# Dependencies come with the hashes of requirements/runtime.lock; the package itself is built from src/.
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/rbgctrl
COPY requirements/runtime.lock requirements/build.lock requirements/
RUN /opt/rbgctrl/bin/pip install --no-cache-dir --disable-pip-version-check --no-compile --require-hashes --only-binary :all: -r requirements/runtime.lock
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY examples/prefill-decode.yaml examples/prefill-decode.yaml
RUN /opt/build/bin/python -m hatchling build --target wheel
RUN /opt/rbgctrl/bin/pip install --no-cache-dir --disable-pip-version-check --no-compile --no-deps --no-index dist/*.whl
# Compiled once here: at run time the root file system is read-only, and every start would compile anew.
RUN /opt/rbgctrl/bin/pip uninstall --yes --disable-pip-version-check pip setuptools
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/rbgctrl/lib

FROM python:3.11-slim
COPY --from=build /opt/rbgctrl /opt/rbgctrl
ENV PATH=/opt/rbgctrl/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["rbgctrl"]
CMD ["run"]
