"""What a destination lacks, why, and what became of it: letters in a Kafka topic of the destination's own."""
