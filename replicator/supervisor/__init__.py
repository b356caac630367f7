"""`replicator run`: all roles of one installation as one supervised tree of processes."""
