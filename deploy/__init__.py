"""What it takes to run the replicator and the services around it."""
