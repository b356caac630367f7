"""What is seen of destinations, of Kafka and of the source: probes, ends and commits, asked again and
again.
"""
