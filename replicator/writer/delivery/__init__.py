"""What makes things durable: segments on their way to the destination, dead letters on theirs to Kafka."""
