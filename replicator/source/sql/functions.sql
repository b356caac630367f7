-- Functions of the schema replicator. They pin every setting that changes how a value prints, and their search_path.

-- A partitioned table has no rows, hence no stored missing value; its partitions have. NULL unless they agree.
CREATE OR REPLACE FUNCTION replicator.missing_in_partitions(root oid, col name) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET "TimeZone" = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex'
AS $$
SELECT CASE WHEN count(DISTINCT (a.attmissingval::text::text[])[1]) = 1 THEN min((a.attmissingval::text::text[])[1]) END
FROM pg_partition_tree(root) p
JOIN pg_attribute a ON a.attrelid = p.relid AND a.attname = col AND a.atthasmissing
WHERE p.isleaf
$$;

-- The definition of a table as the catalogues have it now; NULL for anything that isn't a table.
CREATE OR REPLACE FUNCTION replicator.table_definition(relation oid) RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET "TimeZone" = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex'
AS $$
SELECT jsonb_build_object(
    'table', c.oid::regclass::text,
    'oid', c.oid::bigint,
    'kind', c.relkind,
    'owner', pg_get_userbyid(c.relowner),
    'persistence', c.relpersistence,
    'replica_identity', c.relreplident,
    'columns', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'attnum', a.attnum,
            'name', a.attname,
            'type', format_type(a.atttypid, a.atttypmod),
            'type_oid', a.atttypid::bigint,
            'not_null', a.attnotnull,
            'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'identity', nullif(a.attidentity::text, ''),
            'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
            'collation', CASE WHEN a.attcollation <> t.typcollation
                THEN quote_ident(n.nspname) || '.' || quote_ident(l.collname) END,
            'missing', CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1]
                WHEN c.relkind = 'p' THEN replicator.missing_in_partitions(c.oid, a.attname) END
        ) ORDER BY a.attnum)
        FROM pg_attribute a
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        LEFT JOIN pg_namespace n ON n.oid = l.collnamespace
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
    'constraints', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'name', k.conname, 'type', k.contype, 'definition', pg_get_constraintdef(k.oid)) ORDER BY k.conname)
        FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype NOT IN ('t', 'n')), '[]'),
    'indexes', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'name', x.relname, 'definition', pg_get_indexdef(i.indexrelid)) ORDER BY x.relname)
        FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid), '[]'),
    'partition_key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
    'partition_of', CASE WHEN c.relispartition THEN
        (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = c.oid) END,
    'partition_bound', CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
    'inherits', CASE WHEN NOT c.relispartition THEN
        (SELECT jsonb_agg(h.inhparent::regclass::text ORDER BY h.inhseqno) FROM pg_inherits h WHERE h.inhrelid = c.oid) END
)
FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p')
$$;

-- The table that a command's object belongs to: itself, an index's, a constraint's, a trigger's ... NULL when there is none.
CREATE OR REPLACE FUNCTION replicator.table_of(class oid, object oid) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE class
    WHEN 'pg_class'::regclass THEN coalesce(
        (SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = object),
        (SELECT c.oid FROM pg_class c WHERE c.oid = object AND c.relkind IN ('r', 'p')))
    WHEN 'pg_constraint'::regclass THEN (SELECT nullif(conrelid, 0) FROM pg_constraint WHERE oid = object)
    WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid FROM pg_trigger WHERE oid = object)
    WHEN 'pg_attrdef'::regclass THEN (SELECT adrelid FROM pg_attrdef WHERE oid = object)
    WHEN 'pg_policy'::regclass THEN (SELECT polrelid FROM pg_policy WHERE oid = object)
    WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite WHERE oid = object)
END
$$;

-- The tables whose definition has the object's name in it, by what depends on it: foreign keys, columns of a type or with a
-- collation, and every expression. What is a part of the object (its array type, a table's row type, what an extension
-- brought, what a schema has in it) has its name, or moves with it.
CREATE OR REPLACE FUNCTION replicator.printing(class oid, object oid) RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
WITH RECURSIVE named AS (
    (SELECT class AS classid, object AS objid
    UNION
    SELECT 'pg_type'::regclass::oid, reltype FROM pg_class
    WHERE class = 'pg_class'::regclass AND oid = object AND relkind = 'c')
    UNION
    SELECT d.classid, d.objid FROM named n JOIN pg_depend d ON d.refclassid = n.classid AND d.refobjid = n.objid
    WHERE d.deptype = 'e' OR d.refclassid = 'pg_namespace'::regclass OR (d.deptype = 'i' AND d.classid = 'pg_type'::regclass))
SELECT DISTINCT replicator.table_of(d.classid, d.objid)
FROM named n JOIN pg_depend d ON d.refclassid = n.classid AND d.refobjid = n.objid
WHERE d.classid IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass)
$$;

-- The text of the command as it may be kept: a password in it is a secret and no part of a schema.
CREATE OR REPLACE FUNCTION replicator.loggable(tag text, query text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE
    WHEN tag ~ '(SUBSCRIPTION|USER MAPPING|SERVER|FOREIGN DATA WRAPPER)' THEN NULL
    WHEN query ~* '\m(role|user|group)\M.*\mpassword\M'
        THEN regexp_replace(query, '(\mpassword\s+)(E?''(?:[^'']|'''')*'')', '\1''***''', 'gi')
    ELSE query
END
$$;

-- Makes a captured table send whole old rows, and a partition tell when it is truncated. Called for new tables in the
-- transaction that creates them; changes nothing where all is in place.
CREATE OR REPLACE FUNCTION replicator.keep_before(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was record;
BEGIN
    SELECT c.relreplident, c.relkind, c.relispartition, c.relpersistence, n.nspname,
        (SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
         WHERE i.indrelid = c.oid AND i.indisreplident) AS index
    INTO was FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
    IF NOT FOUND OR was.relkind NOT IN ('r', 'p') OR was.relpersistence <> 'p'
        OR was.nspname <> ALL (SELECT unnest(schemas) FROM replicator.installation) THEN
        RETURN;
    END IF;
    IF was.relreplident <> 'f' THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', relation::regclass);
        INSERT INTO replicator.identity_before VALUES (relation, was.relreplident, was.index)
        ON CONFLICT ON CONSTRAINT identity_before_pkey DO NOTHING;
    END IF;
    IF was.relispartition OR was.relkind = 'p' THEN
        PERFORM replicator.tell_truncate(relation, 'replicator_truncate', 'BEFORE');
    END IF;
    IF was.relkind = 'p' AND NOT was.relispartition THEN
        PERFORM replicator.tell_truncate(relation, 'replicator_truncated', 'AFTER');
    END IF;
END
$$;

-- Has logical decoding look a partition up again. It remembers with each partition under which name its root was sent, and a new
-- name of the root alone doesn't make it forget that: rows would go on under the old name. Setting what is set already does.
CREATE OR REPLACE FUNCTION replicator.keep_name(relation oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    first record;
BEGIN
    SELECT attname, coalesce(attstattarget, -1) AS statistics INTO first FROM pg_attribute
    WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped ORDER BY attnum LIMIT 1;
    IF FOUND THEN
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', relation::regclass, first.attname, first.statistics);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION replicator.tell_truncate(relation oid, trigger_name name, moment text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = trigger_name) THEN
        EXECUTE format('CREATE TRIGGER %I %s TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION replicator.on_truncate()',
            trigger_name, moment, relation::regclass);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', relation::regclass, trigger_name);
    END IF;
END
$$;

-- Makes the publication cover these schemas with all operations. In a function, so that the DDL log can tell it from
-- somebody else's change of the publication, which would leave changes out.
CREATE OR REPLACE FUNCTION replicator.keep_publication(publication name, captured text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    listed text := (SELECT string_agg(quote_ident(s), ', ' ORDER BY s) FROM unnest(captured) s);
    how constant text := $how$publish = 'insert, update, delete, truncate', publish_via_partition_root = true$how$;
BEGIN
    IF EXISTS (SELECT FROM pg_publication p WHERE p.pubname = publication) THEN
        EXECUTE format('ALTER PUBLICATION %I SET TABLES IN SCHEMA %s', publication, listed);
        EXECUTE format('ALTER PUBLICATION %I SET (%s)', publication, how);
    ELSE
        EXECUTE format('CREATE PUBLICATION %I FOR TABLES IN SCHEMA %s WITH (%s)', publication, listed, how);
    END IF;
END
$$;

-- Adds a row for a sequence that stands elsewhere than the newest row of its name says. Called for each command about one, too:
-- under a name that was another one's, or another name, the rows of that name say nothing of it.
CREATE OR REPLACE FUNCTION replicator.record_sequence(sequence oid) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    called constant text := (
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = sequence AND c.relkind = 'S' AND c.relpersistence = 'p' AND n.nspname <> 'replicator');
    now_at record;
BEGIN
    IF called IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE 'SELECT last_value, is_called FROM ' || called INTO now_at;
    IF EXISTS (SELECT FROM replicator.sequence_seen s
        WHERE s.name = called AND (s.last_value, s.is_called) = (now_at.last_value, now_at.is_called)) THEN
        RETURN false;
    END IF;
    INSERT INTO replicator.sequence_log (at, name, last_value, is_called)
    VALUES (clock_timestamp(), called, now_at.last_value, now_at.is_called);
    INSERT INTO replicator.sequence_seen VALUES (called, now_at.last_value, now_at.is_called)
    ON CONFLICT (name) DO UPDATE SET last_value = excluded.last_value, is_called = excluded.is_called;
    RETURN true;
END
$$;

-- The same for all sequences. One that a command has locked waits for the next beat.
CREATE OR REPLACE FUNCTION replicator.record_sequences() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms'
AS $$
DECLARE
    sequence oid;
    changed integer := 0;
BEGIN
    FOR sequence IN SELECT oid FROM pg_class WHERE relkind = 'S' AND relpersistence = 'p' ORDER BY oid LOOP
        BEGIN
            changed := changed + replicator.record_sequence(sequence)::integer;
        EXCEPTION WHEN lock_not_available OR undefined_table THEN
            CONTINUE;
        END;
    END LOOP;
    RETURN changed;
END
$$;

-- What the connector's heartbeat calls.
CREATE OR REPLACE FUNCTION replicator.beat() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE replicator.heartbeat SET at = clock_timestamp(), beat = beat + 1 WHERE id = 1;
    PERFORM replicator.record_sequences();
END
$$;

-- Gives the moment at which this transaction commits a name, for `replicator restore --to-mark`, and returns the
-- transaction's id, for --to-xid. Whoever may call it needs no right to the table; `source.mark_roles` lists them.
CREATE OR REPLACE FUNCTION replicator.mark(name text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF mark.name IS NULL OR btrim(mark.name) = '' OR length(mark.name) > 200 THEN
        RAISE EXCEPTION 'a mark needs a name, of at most 200 characters' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO replicator.mark_log (at, name, role) VALUES (clock_timestamp(), mark.name, session_user);
    RETURN pg_current_xact_id()::xid::text::bigint;
END
$$;

-- The text in which PostgreSQL prints what it reads from `value` as that type; NULL when it doesn't accept it.
CREATE OR REPLACE FUNCTION replicator.canary_text(value text, type text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET "TimeZone" = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex'
AS $$
DECLARE
    printed text;
BEGIN
    EXECUTE format('SELECT (%L::%s)::text', value, type) INTO printed;
    -- Again, since what rounding makes of a value at the edge may not be a value.
    EXECUTE format('SELECT (%L::%s)::text', printed, type) INTO printed;
    RETURN printed;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA replicator FROM PUBLIC;
