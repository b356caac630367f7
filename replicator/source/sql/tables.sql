-- Our tables in the captured database. Every statement can be run again.
CREATE SCHEMA IF NOT EXISTS replicator;
REVOKE ALL ON SCHEMA replicator FROM PUBLIC;
COMMENT ON SCHEMA replicator IS
    'Bookkeeping of the replicator: read by its connector, left out of its restores. Remove with: replicator source uninstall';

CREATE TABLE IF NOT EXISTS replicator.installation (
    id                integer PRIMARY KEY CHECK (id = 1),
    name              text NOT NULL,
    version           integer NOT NULL,
    schemas           text[] NOT NULL,
    system_identifier text NOT NULL,
    timeline          bigint NOT NULL,
    installed_at      timestamptz NOT NULL,
    installed_by      text NOT NULL
);
-- Up to this size a table whose rows a command changed without events is sent again. source.reread_mb
ALTER TABLE replicator.installation ADD COLUMN IF NOT EXISTS reread_bytes bigint NOT NULL DEFAULT 1073741824;

-- Beaten by the connector: an idle database still moves its slot forward.
CREATE TABLE IF NOT EXISTS replicator.heartbeat (
    id   integer PRIMARY KEY,
    at   timestamptz NOT NULL,
    beat bigint NOT NULL
);
INSERT INTO replicator.heartbeat VALUES (1, pg_catalog.clock_timestamp(), 0) ON CONFLICT DO NOTHING;

-- What logical decoding never sends: each DDL command, written in the transaction that ran it.
CREATE TABLE IF NOT EXISTS replicator.ddl_log (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid            bigint NOT NULL,
    at              timestamptz NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('dump', 'command', 'drop', 'rewrite')),
    statement       bigint,
    tag             text,
    object_type     text,
    schema_name     text,
    object_identity text,
    object_oid      bigint,
    query           text,
    search_path     text,
    role            text,
    definition      jsonb,
    dump            text
);
COMMENT ON COLUMN replicator.ddl_log.statement IS
    'id of the first row that the same DDL statement wrote: one statement can touch several objects';

-- Sequences are not decoded either. A row is added when the value differs from the one seen before.
CREATE TABLE IF NOT EXISTS replicator.sequence_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    name       text NOT NULL,
    last_value bigint NOT NULL,
    is_called  boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS replicator.sequence_seen (
    name       text PRIMARY KEY,
    last_value bigint NOT NULL,
    is_called  boolean NOT NULL
);

-- Moments that somebody gave a name to: one row in the transaction that called replicator.mark().
CREATE TABLE IF NOT EXISTS replicator.mark_log (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at   timestamptz NOT NULL,
    name text NOT NULL,
    role text NOT NULL
);

-- What the tables' replica identity was before it became FULL, to be put back by an uninstall.
CREATE TABLE IF NOT EXISTS replicator.identity_before (
    relation  oid PRIMARY KEY,
    identity  text NOT NULL,
    index     text
);

-- Which connector configurations have carried the canary unchanged.
CREATE TABLE IF NOT EXISTS replicator.canary_result (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    config_hash text NOT NULL,
    passed      boolean NOT NULL,
    detail      jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS canary_result_config_hash ON replicator.canary_result (config_hash, id DESC);

ALTER TABLE replicator.heartbeat REPLICA IDENTITY FULL;
ALTER TABLE replicator.ddl_log REPLICA IDENTITY FULL;
ALTER TABLE replicator.sequence_log REPLICA IDENTITY FULL;
ALTER TABLE replicator.mark_log REPLICA IDENTITY FULL;
