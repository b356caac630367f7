-- Puts the replica identities back and removes everything of ours. The publication's name differs and is dropped apart.
DROP EVENT TRIGGER IF EXISTS replicator_ddl;
DROP EVENT TRIGGER IF EXISTS replicator_drop;
DROP EVENT TRIGGER IF EXISTS replicator_rewrite;
DO $$
DECLARE
    kept record;
BEGIN
    IF to_regclass('replicator.identity_before') IS NULL THEN
        RETURN;
    END IF;
    FOR kept IN
        SELECT b.* FROM replicator.identity_before b JOIN pg_catalog.pg_class c ON c.oid = b.relation AND c.relreplident = 'f'
    LOOP
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', kept.relation::regclass,
            CASE kept.identity WHEN 'd' THEN 'DEFAULT' WHEN 'n' THEN 'NOTHING' ELSE format('USING INDEX %I', kept.index) END);
    END LOOP;
END
$$;
DROP SCHEMA IF EXISTS replicator CASCADE;
