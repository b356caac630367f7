"""What `replicator doctor` looks at: one module for each part, one line for each check."""
