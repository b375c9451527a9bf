# Two stages: the wheel and its dependencies are built apart from what runs.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY pyproject.toml constraints.txt hatch_build.py README.md LICENSE ./
COPY halo_daemon ./halo_daemon
# The modules that every span goes through become extension modules; a minute or two.
RUN python -m venv /opt/halo-daemon \
 && HALO_DAEMON_COMPILE=1 /opt/halo-daemon/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.13-slim-trixie
COPY --from=build /opt/halo-daemon /opt/halo-daemon
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin halo \
 && install -d -o halo -g halo /data
USER 10001
# Inside the container's own network; what is published is decided outside. Without an ingest key
# in /data the daemon refuses to start there, unless `--insecure-no-auth` is added to the command.
ENV PATH=/opt/halo-daemon/bin:$PATH \
    HALO_DAEMON__RECEIVERS__OTLP__GRPC__ENDPOINT=0.0.0.0:4317 \
    HALO_DAEMON__RECEIVERS__OTLP__HTTP__ENDPOINT=0.0.0.0:4318
VOLUME /data
EXPOSE 4317 4318
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["halo-daemon", "status", "--ready"]
ENTRYPOINT ["halo-daemon"]
CMD ["serve", "--data", "/data"]
