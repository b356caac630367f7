"""Debezium's records: envelopes, transactions, notifications, names, and PostgreSQL's values inside them."""
