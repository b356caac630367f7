"""The Debezium connector's configuration, as data."""
