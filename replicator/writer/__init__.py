"""The sink: Kafka records into segments, durable before they are committed."""
