"""Connect's plugin directory: Debezium, Apicurio's Avro converter, the subclass of it that keeps NULL, and
the converter inside Debezium that keeps values exact.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from deploy.local.cache import cache_dir, install
from deploy.local.errors import StackError
from deploy.local.jars import LOCK_FILE, fetch, unpacked
from deploy.local.jvm import JAVA

CLASS_NAME = "replicator.connect.NullKeepingAvroConverter"
EXACT_JAR = "replicator-exact-values.jar"
STREAM_TYPES_JAR = "0-replicator-stream-types.jar"
"""Its classes stand in for two of Debezium's: Connect loads a plugin's jars in the order of their names."""

PLAIN_CLASS_NAME = "io.apicurio.registry.utils.converter.AvroConverter"
_JAVA = Path(__file__).parent / "java"
_SOURCE = _JAVA / "NullKeepingAvroConverter.java"
_EXACT_SOURCES = (_JAVA / "ExactValueConverter.java", _JAVA / "SnapshotNotificationChannel.java")
_CHANNEL = "replicator.connect.SnapshotNotificationChannel"
_STREAM_SOURCES = (_JAVA / "ColumnMetaData.java", _JAVA / "ColumnImpl.java")
_RELEASE = "11"
"""Java release of the bytecode: the oldest that Kafka 4's Connect API allows, so it loads in any worker."""


def settings(native_url: str) -> dict[str, str]:
    """Return the converter's settings, to be put under both `key.converter.` and `value.converter.`.

    use-id=contentId, because Confluent's API resolves content ids while the default, the global id, names
    another schema from the first text on that two subjects share. find-latest=false, because the latest
    schema need not be the one the record was made with.
    """
    return {
        "apicurio.registry.url": native_url,
        "apicurio.registry.auto-register": "true",
        "apicurio.registry.find-latest": "false",
        "apicurio.registry.as-confluent": "true",
        "apicurio.registry.headers.enabled": "false",
        "apicurio.registry.use-id": "contentId",
        "schemas.enable": "true",
    }


def plugin_dir() -> Path:
    """Return a directory for Connect's plugin.path, built from locked jars and our converter's source."""
    parts = (LOCK_FILE, _SOURCE, *_EXACT_SOURCES, *_STREAM_SOURCES, Path(__file__))
    identity = hashlib.sha256(b"".join(part.read_bytes() for part in parts))

    def build(work: Path) -> None:
        shutil.copytree(unpacked("debezium"), work, dirs_exist_ok=True, copy_function=_link_or_copy)
        converter = work / "avro-converter"
        converter.mkdir()
        for jar in fetch("converter"):
            _link_or_copy(str(jar), str(converter / jar.name))
        classes = work / ".classes"
        compiled = converter / "null-keeping-avro-converter.jar"
        # Listed, so that the worker finds converters without scanning every class (service_load).
        # The plain one too: `replicator doctor` has to find it out, and its test runs it.
        names = f"{CLASS_NAME}\n{PLAIN_CLASS_NAME}\n"
        services = {"META-INF/services/org.apache.kafka.connect.storage.Converter": names}
        _compile((_SOURCE,), sorted(converter.glob("*.jar")), compiled, classes, services)
        # Debezium loads its converters with its own class loader: the jars lie among its own.
        debezium = work / "debezium-connector-postgres"
        own = sorted(debezium.glob("*.jar"))
        channels = "META-INF/services/io.debezium.pipeline.notification.channels.NotificationChannel"
        _compile(_EXACT_SOURCES, own, debezium / EXACT_JAR, classes, {channels: _CHANNEL})
        _compile(_STREAM_SOURCES, own, debezium / STREAM_TYPES_JAR, classes, {})

    return install(cache_dir() / "plugins" / identity.hexdigest()[:16], build)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _compile(
    sources: tuple[Path, ...],
    dependencies: list[Path],
    target: Path,
    classes: Path,
    services: dict[str, str],
) -> None:
    (compiler,) = fetch("compiler")
    kafka = [jar for jar in fetch("kafka") if jar.name.startswith(("connect-api", "kafka-clients"))]
    classpath = ":".join(str(jar) for jar in [*dependencies, *kafka])
    options = ["-source", _RELEASE, "-target", _RELEASE, "-nowarn", "-cp", classpath, "-d", str(classes)]
    done = subprocess.run(
        [str(JAVA), "-jar", str(compiler), *options, *map(str, sources)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"{target.name} did not compile:\n{done.stdout}{done.stderr}")
    with zipfile.ZipFile(target, "w") as jar:
        for compiled in sorted(classes.rglob("*.class")):
            jar.write(compiled, str(compiled.relative_to(classes)))
        for name, content in services.items():
            jar.writestr(name, content)
    shutil.rmtree(classes)
