# Kafka Connect with Debezium and the NULL-keeping converter: Kafka's own image plus the plugins of the jar lock.
# Built by docker-compose.yml, which gives the version (deploy/local/versions.py); not run on the machine where it
# was written, which has no Docker daemon.
ARG KAFKA_VERSION

FROM python:3.11-slim AS assembled
WORKDIR /src
COPY locks/python.txt locks/python.txt
RUN python -m pip install --no-cache-dir --no-deps --require-hashes -r locks/python.txt
COPY replicator/__init__.py replicator/errors.py replicator/
COPY deploy deploy
RUN python -m deploy.docker.connect_image /image && chmod -R a+rX /image

FROM apache/kafka:${KAFKA_VERSION}
COPY --from=assembled /image /opt/replicator
CMD ["/bin/bash", "-euc", "{ cat /opt/replicator/worker.properties; echo bootstrap.servers=$BOOTSTRAP_SERVERS; echo listeners=$LISTENER; echo rest.advertised.host.name=127.0.0.1; } > /tmp/worker.properties; exec /opt/kafka/bin/connect-distributed.sh /tmp/worker.properties"]
