"""Every version the stack is made of that pip does not pin.

The pip parts (JRE, PostgreSQL, Go toolchain, moto, the jar resolver) are the dependency group `stack` of
pyproject.toml, pinned by the Python lock; the jars' checksums stand in jars.lock.json, which
`python -m deploy.local.lock_jars` writes from this module. docker-compose.yml names the same versions, and a
test compares them.
"""

from __future__ import annotations

POSTGRES = "16"
"""Major version: the wheel carries 16 and 18. The minor version is the wheel's."""

POSTGRES_IMAGE = "16.14"
"""The image of the same minor version as the wheel's; a test compares it with the wheel's own word."""

KAFKA = "4.3.1"
DEBEZIUM = "3.7.0.Final"
APICURIO_CONVERTER = "2.6.13.Final"
"""The newest Avro converter whose dependencies resolve; it speaks to registry 3 by its v2 API."""

REGISTRY = "3.3.3"
ECJ = "3.46.100"
LOG4J = "2.25.4"
"""What Kafka 4.3.1 depends on; its own dependency list leaves the slf4j binding out."""

VERSITYGW = "v1.8.0"
VERSITYGW_MODULE = "github.com/versity/versitygw/cmd/versitygw"

FAKE_GCS = "v1.56.0"
FAKE_GCS_MODULE = "github.com/fsouza/fake-gcs-server"
AZURITE = "3.35.0"
"""The newest whose dependencies all resolve; deploy/local/azurite locks it and them, with hashes."""

JAR_SETS: dict[str, tuple[str, ...]] = {
    "kafka": (
        f"org.apache.kafka:kafka_2.13:{KAFKA}",
        f"org.apache.kafka:connect-runtime:{KAFKA}",
        f"org.apache.kafka:connect-json:{KAFKA}",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J}",
    ),
    "converter": (f"io.apicurio:apicurio-registry-utils-converter:{APICURIO_CONVERTER}",),
    "compiler": (f"org.eclipse.jdt:ecj:{ECJ}",),
    "debezium": (f"io.debezium:debezium-connector-postgres:{DEBEZIUM}:tar.gz:plugin",),
    "registry": (f"io.apicurio:apicurio-registry-app:{REGISTRY}:tar.gz:all",),
}
"""Roots of each set as `group:artifact:version[:packaging[:classifier]]`; jars bring their dependencies."""

PROVIDED_GROUPS: dict[str, tuple[str, ...]] = {"converter": ("org.apache.kafka",)}
"""Groups left out of a set because the process that loads it provides them: a second Kafka API in the
converter's plugin directory would shadow the worker's."""
