"""A moment without a database: its tables as Arrow, as files, and as Kafka topics."""
