"""Records out of Kafka as librdkafka holds them, without an object of Python's for each."""
