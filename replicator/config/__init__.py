"""`replicator.yaml`: one installation's configuration, with secrets from the environment or from files.

A string may hold `${env:NAME}` or `${file:/path}`; it is replaced when the file is read. Every key can also
be given as an environment variable, `REPLICATOR_KAFKA__BOOTSTRAP_SERVERS` for `kafka.bootstrap_servers`.
"""

from replicator.config.azure import AzureDestination
from replicator.config.b2 import B2Destination
from replicator.config.compact import Compact
from replicator.config.control import Control
from replicator.config.destinations import Destination, FileDestination
from replicator.config.drill import Drill
from replicator.config.gcs import GcsDestination
from replicator.config.installation import Config
from replicator.config.kafka import Kafka, Registry
from replicator.config.notify import Notify
from replicator.config.policy import Policy
from replicator.config.reading import DEFAULT_PATH, load
from replicator.config.replay import Replay
from replicator.config.retention import Retention
from replicator.config.rollup import Rollup
from replicator.config.run import Run
from replicator.config.s3 import S3Destination
from replicator.config.sink import Sink, Urgency
from replicator.config.source import Converter, Source

__all__ = [
    "DEFAULT_PATH",
    "AzureDestination",
    "B2Destination",
    "Compact",
    "Config",
    "Control",
    "Converter",
    "Destination",
    "Drill",
    "FileDestination",
    "GcsDestination",
    "Kafka",
    "Notify",
    "Policy",
    "Registry",
    "Replay",
    "Retention",
    "Rollup",
    "Run",
    "S3Destination",
    "Sink",
    "Source",
    "Urgency",
    "load",
]
