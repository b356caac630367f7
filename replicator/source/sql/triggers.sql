-- The event triggers. Whatever goes wrong in them, the user's DDL goes on: a warning says what the log lacks.

-- True inside of what keep_before, keep_name and keep_publication run: such a command is ours and isn't logged.
CREATE OR REPLACE FUNCTION replicator.is_ours() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stack text;
BEGIN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    RETURN stack ~ 'function replicator\.keep_(before|name|publication)\(';
END
$$;

-- Adds one row to ddl_log and returns its id.
CREATE OR REPLACE FUNCTION replicator.add_ddl(
    kind text, statement bigint, tag text, object_type text, schema_name text, object_identity text,
    object_oid oid, caller_path text, definition jsonb
) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    row_id bigint := nextval('replicator.ddl_log_id_seq');
BEGIN
    INSERT INTO replicator.ddl_log OVERRIDING SYSTEM VALUE VALUES (
        row_id, pg_current_xact_id()::text::bigint, clock_timestamp(), kind, coalesce(statement, row_id), tag, object_type,
        schema_name, object_identity, object_oid::bigint, replicator.loggable(tag, current_query()), caller_path,
        CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role') END, definition, NULL);
    RETURN row_id;
END
$$;

-- Notes a table whose rows are changing without an event of their own.
CREATE OR REPLACE FUNCTION replicator.note_reread(relation oid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
SELECT set_config('replicator.reread', concat_ws(' ', nullif(current_setting('replicator.reread', true), ''), relation::text), true)
WHERE relation IS NOT NULL
$$;

-- Notes a partition that came or went without any rows.
CREATE OR REPLACE FUNCTION replicator.note_unmoved(relation oid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
SELECT set_config('replicator.unmoved', concat_ws(' ', nullif(current_setting('replicator.unmoved', true), ''), relation::text), true)
$$;

-- Logs what was noted, so that a restore knows of a partition that was there or came, and that it took or brought nothing.
CREATE OR REPLACE FUNCTION replicator.add_unmoved(statement bigint, caller_path text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    noted text := coalesce(current_setting('replicator.unmoved', true), '');
    each record;
BEGIN
    IF noted <> '' THEN
        PERFORM set_config('replicator.unmoved', '', true);
        FOR each IN
            SELECT DISTINCT c.oid, n.nspname FROM regexp_split_to_table(noted, ' ') o
            JOIN pg_class c ON c.oid = o::oid JOIN pg_namespace n ON n.oid = c.relnamespace
        LOOP
            PERFORM replicator.add_ddl('rewrite', statement, 'UNMOVED', 'table', each.nspname, each.oid::regclass::text,
                each.oid, caller_path, NULL);
        END LOOP;
    END IF;
END
$$;

-- The table that had this one as a partition when it was last logged; NULL when it had none or that is gone.
CREATE OR REPLACE FUNCTION replicator.logged_parent(relation oid) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT to_regclass(parent)::oid FROM (
    SELECT id, definition->>'partition_of' AS parent FROM replicator.ddl_log
    WHERE kind = 'command' AND object_oid = relation::bigint AND definition IS NOT NULL
    UNION ALL
    SELECT id, t->>'partition_of' FROM replicator.ddl_log, jsonb_array_elements(definition->'tables') t
    WHERE kind = 'dump' AND (t->>'oid')::bigint = relation::bigint) known
ORDER BY id DESC LIMIT 1
$$;

-- The relation that the caller means by a name.
CREATE OR REPLACE FUNCTION replicator.relation_named(name text, caller_path text) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_catalog.set_config('search_path', caller_path, true);
    RETURN pg_catalog.to_regclass(name)::pg_catalog.oid;
END
$$;

-- Rows that an ALTER TABLE moves or uncovers without events.
CREATE OR REPLACE FUNCTION replicator.note_moved(relation oid, statement bigint, caller_path text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    child oid;
    held boolean;
    detached text := substring(current_query() FROM
        '(?i)\mdetach\s+partition\s+((?:"(?:[^"]|"")+"|[\w$]+)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[\w$]+))?)');
BEGIN
    IF current_query() ~* '\m(set\s+schema|drop\s+expression)\M' THEN
        PERFORM replicator.note_reread(relation);
    END IF;
    FOR child IN
        SELECT i.inhrelid FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
        WHERE i.inhparent = relation AND p.relkind = 'p' AND age(i.xmin) <= age(pg_current_xact_id()::xid)
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', child::regclass) INTO held;
        IF held THEN
            PERFORM replicator.note_reread(relation);
        ELSE
            PERFORM replicator.note_unmoved(child);
        END IF;
    END LOOP;
    child := replicator.relation_named(detached, caller_path);
    IF child IS NOT NULL AND replicator.logged_parent(child) = relation THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', child::regclass) INTO held;
        IF held THEN
            PERFORM replicator.note_reread(relation);
            PERFORM replicator.note_reread(child);
        ELSE
            PERFORM replicator.note_unmoved(child);
        END IF;
        PERFORM replicator.keep_before(child);
        -- CONCURRENTLY leaves a check behind, also in partitions of its own.
        FOR child IN SELECT coalesce(t.relid::oid, child) FROM (SELECT 1) one LEFT JOIN pg_partition_tree(child) t ON true LOOP
            PERFORM replicator.add_ddl('command', statement, 'ALTER TABLE', 'table',
                (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = child),
                child::regclass::text, child, caller_path, replicator.table_definition(child));
        END LOOP;
    END IF;
END
$$;

-- What sending a table's rows again needs to know of it: a column that an UPDATE may name, its size, whether a trigger
-- of somebody's would fire. No row for what isn't captured.
CREATE OR REPLACE FUNCTION replicator.sendable(
    relation oid, OUT kind "char", OUT schema_name name, OUT filled name, OUT size bigint, OUT watched boolean
) RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT c.relkind, n.nspname,
    (SELECT a.attname FROM pg_attribute a
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
     ORDER BY a.attlen < 0, a.attnum LIMIT 1),
    ((SELECT coalesce(sum(pg_table_size(t.relid)), 0) FROM pg_partition_tree(c.oid) t) + pg_table_size(c.oid))::bigint,
    EXISTS (SELECT FROM pg_trigger t JOIN pg_partition_tree(c.oid) p ON p.relid = t.tgrelid
            WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') AND t.tgtype & 16 <> 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = relation AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
    AND n.nspname = ANY (SELECT unnest(schemas) FROM replicator.installation)
$$;

-- Updates each row of a table to what it is, by nobody's triggers, between two rows of the log. Returns how many.
CREATE OR REPLACE FUNCTION replicator.send_rows(
    relation oid, kind "char", schema_name name, filled name, caller_path text
) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    role_before text := current_setting('session_replication_role');
    sent bigint;
BEGIN
    PERFORM replicator.add_ddl('rewrite', NULL, 'REREAD', 'table', schema_name, relation::regclass::text, relation,
        caller_path, jsonb_build_object('reread', 'begin'));
    PERFORM set_config('session_replication_role', 'replica', true);
    EXECUTE format('UPDATE %s%s SET %I = %3$I', CASE kind WHEN 'r' THEN 'ONLY ' ELSE '' END, relation::regclass, filled);
    GET DIAGNOSTICS sent = ROW_COUNT;
    PERFORM set_config('session_replication_role', role_before, true);
    PERFORM replicator.add_ddl('rewrite', NULL, 'REREAD', 'table', schema_name, relation::regclass::text, relation,
        caller_path, jsonb_build_object('reread', 'end', 'rows', sent));
    RETURN sent;
END
$$;

-- Sends the rows of the noted tables in the transaction of the command that changed them. What can't be sent is left to a
-- restore to refuse.
CREATE OR REPLACE FUNCTION replicator.reread(caller_path text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = 0
AS $$
DECLARE
    noted text := current_setting('replicator.reread', true);
    most bigint;
    each record;
BEGIN
    IF coalesce(noted, '') = '' THEN
        RETURN;
    END IF;
    PERFORM set_config('replicator.reread', '', true);
    SELECT reread_bytes INTO most FROM replicator.installation;
    FOR each IN
        SELECT wanted.oid, s.*
        FROM (SELECT DISTINCT coalesce(pg_partition_root(o::oid)::oid, o::oid) AS oid
              FROM regexp_split_to_table(noted, ' ') o) wanted, replicator.sendable(wanted.oid) s
    LOOP
        IF each.size > most OR each.filled IS NULL OR each.watched THEN
            RAISE WARNING 'replicator: the rows of % changed and are not sent again: %', each.oid::regclass, CASE
                WHEN each.size > most THEN format('it has %s bytes, source.reread_mb allows %s', each.size, most)
                WHEN each.watched THEN 'a trigger on UPDATE is enabled ALWAYS or for replicas'
                ELSE 'it has no column that an UPDATE may name' END
                USING HINT = format('Moments from now on can''t be restored exactly until SELECT replicator.send_again(%L) was run.',
                    each.oid::regclass);
            CONTINUE;
        END IF;
        PERFORM replicator.send_rows(each.oid, each.kind, each.schema_name, each.filled, caller_path);
    END LOOP;
END
$$;

-- Sends all rows of a table again, by hand, whatever its size: after a command that changed more than source.reread_mb
-- without events, moments from then on can be restored again. Writers of the table wait; readers don't.
CREATE OR REPLACE FUNCTION replicator.send_again(relation regclass) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = 0
AS $$
DECLARE
    root oid := coalesce(pg_partition_root(relation)::oid, relation::oid);
    known record;
BEGIN
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', root::regclass);
    SELECT * INTO known FROM replicator.sendable(root);
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is no table that is captured', relation USING ERRCODE = 'invalid_parameter_value';
    ELSIF known.watched OR known.filled IS NULL THEN
        RAISE EXCEPTION 'the rows of % can''t be sent again: %', root::regclass, CASE
            WHEN known.watched THEN 'a trigger on UPDATE is enabled ALWAYS or for replicas'
            ELSE 'it has no column that an UPDATE may name' END
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = CASE WHEN known.watched THEN 'Disable that trigger in the same transaction.' END;
    END IF;
    RETURN replicator.send_rows(root, known.kind, known.schema_name, known.filled, '');
END
$$;

CREATE OR REPLACE FUNCTION replicator.record_commands(caller_path text, tag text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = 0
AS $$
DECLARE
    command record;
    relation oid;
    child oid;
    row_id bigint;
    first_id bigint;
BEGIN
    IF tag = 'REFRESH MATERIALIZED VIEW' OR replicator.is_ours() THEN
        RETURN;
    END IF;
    FOR command IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
        CONTINUE WHEN command.schema_name IN ('replicator', 'pg_temp');
        IF command.object_type ~ '^publication' AND command.object_identity ~ '\mreplicator_\w+$' THEN
            -- From here on changes may be missing from the stream, with no error: nothing after it can be trusted.
            PERFORM replicator.add_ddl('rewrite', NULL, command.command_tag, command.object_type, command.schema_name,
                command.object_identity, command.objid, caller_path, NULL);
            CONTINUE;
        END IF;
        relation := replicator.table_of(command.classid, command.objid);
        IF relation IS NOT NULL
            AND tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE EXTENSION', 'ALTER EXTENSION')
        THEN
            BEGIN
                PERFORM replicator.keep_before(relation);
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING 'replicator: % keeps its replica identity: %', relation::regclass, SQLERRM
                    USING HINT = 'Run: replicator source install. Until then its updates and deletes are captured without the old row.';
            END;
        END IF;
        IF command.object_type = 'sequence' THEN
            PERFORM replicator.record_sequence(command.objid);
        END IF;
        -- The extension's own row stands for what it is made of.
        CONTINUE WHEN command.in_extension;
        row_id := replicator.add_ddl('command', first_id, command.command_tag, command.object_type, command.schema_name,
            command.object_identity, command.objid, caller_path, replicator.table_definition(relation));
        first_id := coalesce(first_id, row_id);
        IF tag = 'ALTER TABLE' AND relation IS NOT NULL THEN
            PERFORM replicator.note_moved(relation, first_id, caller_path);
        END IF;
        CONTINUE WHEN tag !~ '^ALTER ' AND tag <> 'CREATE INDEX' OR tag = 'ALTER SCHEMA' AND current_query() ~* '\mowner\s+to\M';
        -- A command on a parent changes its children, a new name those that print it; only what was named is among the commands.
        FOR child IN
            WITH RECURSIVE below AS (
                SELECT inhrelid FROM pg_inherits WHERE inhparent = relation
                UNION SELECT h.inhrelid FROM below b JOIN pg_inherits h ON h.inhparent = b.inhrelid),
            affected AS (
                SELECT inhrelid AS child FROM below
                UNION SELECT replicator.printing(command.classid, command.objid) WHERE tag <> 'CREATE INDEX')
            SELECT a.child FROM affected a JOIN pg_class c ON c.oid = a.child JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> 'replicator'
                AND a.child IS DISTINCT FROM relation
            ORDER BY 1
        LOOP
            -- ATTACH PARTITION names the parent alone.
            PERFORM replicator.keep_before(child);
            IF tag = 'ALTER TABLE' AND (SELECT relispartition AND relkind = 'r' FROM pg_class WHERE oid = child) THEN
                PERFORM replicator.keep_name(child);
            END IF;
            PERFORM replicator.add_ddl('command', first_id, command.command_tag, 'table',
                (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = child),
                child::regclass::text, child, caller_path, replicator.table_definition(child));
        END LOOP;
    END LOOP;
    PERFORM replicator.add_unmoved(first_id, caller_path);
    PERFORM replicator.reread(caller_path);
END
$$;

CREATE OR REPLACE FUNCTION replicator.record_drops(caller_path text, tag text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = 0
AS $$
DECLARE
    dropped record;
    remaining jsonb;
    row_id bigint;
    first_id bigint;
BEGIN
    FOR dropped IN
        SELECT * FROM pg_event_trigger_dropped_objects()
        WHERE NOT is_temporary AND schema_name IS DISTINCT FROM 'replicator'
            AND (original OR object_type IN ('schema', 'table', 'table column', 'table constraint', 'default value',
                'index', 'sequence', 'view', 'materialized view', 'foreign table'))
    LOOP
        -- CASCADE takes parts of tables that stay and that no command names: they are described as they are without them.
        remaining := CASE WHEN dropped.object_type IN ('table constraint', 'default value') THEN
            replicator.table_definition(to_regclass(format('%I.%I', dropped.address_names[1], dropped.address_names[2]))) END;
        CONTINUE WHEN remaining IS NULL AND NOT dropped.original
            AND dropped.object_type IN ('table constraint', 'default value');
        row_id := replicator.add_ddl('drop', first_id, tag, dropped.object_type, dropped.schema_name,
            dropped.object_identity, dropped.objid, caller_path, remaining);
        first_id := coalesce(first_id, row_id);
        IF dropped.object_type = 'table' THEN
            -- What a partition took along was in its root's stream. Sent at the end of the command.
            PERFORM replicator.note_reread(replicator.logged_parent(dropped.objid));
        END IF;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION replicator.record_rewrite(caller_path text, tag text, relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = 0
AS $$
DECLARE
    named record;
    reason integer := pg_event_trigger_table_rewrite_reason();
BEGIN
    SELECT n.nspname, c.relpersistence INTO named
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
    IF named.relpersistence <> 't' AND named.nspname <> 'replicator' THEN
        PERFORM replicator.add_ddl('rewrite', NULL, tag, 'table', named.nspname, relation::regclass::text, relation,
            caller_path, jsonb_build_object('reason', reason));
        -- 8 is the access method alone; generated columns a restore computes.
        IF reason <> 8 AND NOT (reason = 2 AND current_query() ~* 'generated\s+always\s+as\s*\('
            AND current_query() !~* '\m(default|identity|serial|bigserial|smallserial)\M')
        THEN
            PERFORM replicator.note_reread(relation);
        END IF;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION replicator.record_truncate(caller_path text, relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = 0
AS $$
BEGIN
    PERFORM replicator.add_ddl('rewrite', NULL, 'TRUNCATE TABLE', 'table',
        (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation),
        relation::regclass::text, relation, caller_path, NULL);
END
$$;

-- A publication via the root sends the root's TRUNCATE and silently leaves out that of a single partition
-- (https://www.postgresql.org/docs/current/sql-createpublication.html). So a partition's is logged as a rewrite, unless
-- the statement truncates its root, whose own trigger has marked it before its partitions' are called.
CREATE OR REPLACE FUNCTION replicator.on_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    root oid := pg_catalog.pg_partition_root(TG_RELID)::pg_catalog.oid;
BEGIN
    IF root IS NULL THEN
        RETURN NULL; -- detached: a table of its own
    END IF;
    IF root OPERATOR(pg_catalog.=) TG_RELID THEN
        PERFORM pg_catalog.set_config('replicator.truncating',
            CASE TG_WHEN WHEN 'BEFORE' THEN root::pg_catalog.text ELSE '' END, true);
    ELSIF pg_catalog.current_setting('replicator.truncating', true) IS DISTINCT FROM root::pg_catalog.text THEN
        PERFORM replicator.record_truncate(pg_catalog.current_setting('search_path'), TG_RELID);
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'replicator: the TRUNCATE of % is not in its log: %', TG_TABLE_NAME, SQLERRM
        USING HINT = 'Its rows are still in what is captured. Start a new installation, with a new snapshot.';
    RETURN NULL;
END
$$;

-- The caller's own search_path can only be read by a function that doesn't set one; so these three name everything in full.
CREATE OR REPLACE FUNCTION replicator.on_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM replicator.record_commands(pg_catalog.current_setting('search_path'), TG_TAG);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'replicator: this % is not in its log: %', TG_TAG, SQLERRM
        USING HINT = 'Run: replicator source dump. Moments between now and then can''t be restored exactly.';
END
$$;

CREATE OR REPLACE FUNCTION replicator.on_drop() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM replicator.record_drops(pg_catalog.current_setting('search_path'), TG_TAG);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'replicator: this % is not in its log: %', TG_TAG, SQLERRM
        USING HINT = 'Run: replicator source dump. Moments between now and then can''t be restored exactly.';
END
$$;

CREATE OR REPLACE FUNCTION replicator.on_rewrite() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM replicator.record_rewrite(
        pg_catalog.current_setting('search_path'), TG_TAG, pg_catalog.pg_event_trigger_table_rewrite_oid());
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'replicator: this rewrite (%) is not in its log: %', TG_TAG, SQLERRM
        USING HINT = 'Run: replicator source dump. Moments between now and then can''t be restored exactly.';
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA replicator FROM PUBLIC;

DROP EVENT TRIGGER IF EXISTS replicator_ddl;
DROP EVENT TRIGGER IF EXISTS replicator_drop;
DROP EVENT TRIGGER IF EXISTS replicator_rewrite;
CREATE EVENT TRIGGER replicator_ddl ON ddl_command_end EXECUTE FUNCTION replicator.on_ddl();
CREATE EVENT TRIGGER replicator_drop ON sql_drop EXECUTE FUNCTION replicator.on_drop();
CREATE EVENT TRIGGER replicator_rewrite ON table_rewrite EXECUTE FUNCTION replicator.on_rewrite();
-- ALWAYS: also in sessions whose session_replication_role is replica.
ALTER EVENT TRIGGER replicator_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER replicator_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER replicator_rewrite ENABLE ALWAYS;
