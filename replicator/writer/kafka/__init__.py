"""What Kafka knows of us: the group and its members, what was committed, and which topic bears a name."""
