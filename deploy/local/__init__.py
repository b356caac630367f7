"""The whole stack without Docker: PostgreSQL, Kafka, Connect with Debezium, the registry and S3.

Linux only: that nothing outlives a killed command rests on PR_SET_PDEATHSIG (prctl(2)).
"""
