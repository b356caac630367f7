"""Commands that change what PostgreSQL says of a table, most of them without naming it.

Each case is told in one database behind all before it, so its names are its own.
"""

from __future__ import annotations

BEGINNING = (
    "CREATE SCHEMA later",
    "CREATE TABLE public.old (id int PRIMARY KEY, c text DEFAULT 'x' CHECK (c <> ''))",
)

_ENUM = "CREATE TYPE {0}_t AS ENUM ('a', 'b')"
_HALF = "CREATE FUNCTION {0}_f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 2'"
_USES = (
    "CREATE TABLE {0} (id int, a int DEFAULT {0}_f(7) CHECK ({0}_f(a) > 0),"
    " g int GENERATED ALWAYS AS ({0}_f(id)) STORED);"
    "CREATE INDEX ON {0} ({0}_f(id)) WHERE {0}_f(a) > 1"
)
_PARTED = (
    "CREATE TABLE {0} (id int, a int, b text, PRIMARY KEY (id, a)) PARTITION BY RANGE (id)",
    "CREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE {0}_2 PARTITION OF {0} FOR VALUES FROM (10) TO (20) PARTITION BY LIST (a)",
    "CREATE TABLE {0}_2a PARTITION OF {0}_2 DEFAULT",
)
_FAMILY = (
    "CREATE TABLE {0} (id int, a int CHECK (a > 0))",
    "CREATE TABLE {0}_c (b int) INHERITS ({0})",
    "CREATE TABLE {0}_g () INHERITS ({0}_c)",
)
_REFERRED = (
    "CREATE TABLE {0} (id int PRIMARY KEY, u int UNIQUE)",
    "CREATE TABLE {0}_r (id int REFERENCES {0}, u int REFERENCES {0} (u))",
)

_CASES: dict[str, tuple[str, ...]] = {
    # --- what an expression names gets another name ---
    "function_renamed": (_HALF, _USES, "ALTER FUNCTION {0}_f(int) RENAME TO {0}_g"),
    "routine_renamed": (_HALF, _USES, "ALTER ROUTINE {0}_f(int) RENAME TO {0}_g"),
    "function_moved": (_HALF, _USES, "ALTER FUNCTION {0}_f(int) SET SCHEMA later"),
    "function_dropped": (_HALF, _USES, "DROP FUNCTION {0}_f(int) CASCADE"),
    "function_replaced": (_HALF, _USES, _HALF.replace("CREATE", "CREATE OR REPLACE").replace("/ 2", "/ 3")),
    "function_in_domain": (
        _HALF,
        "CREATE DOMAIN {0}_d AS int DEFAULT {0}_f(8) CHECK ({0}_f(VALUE) > 0)",
        "CREATE TABLE {0} (a {0}_d)",
        "ALTER FUNCTION {0}_f(int) RENAME TO {0}_g",
    ),
    "function_in_statistics": (
        _HALF,
        "CREATE TABLE {0} (a int, b int)",
        "CREATE STATISTICS {0}_s ON ({0}_f(a)), b FROM {0}",
        "ALTER FUNCTION {0}_f(int) RENAME TO {0}_g",
        "ALTER STATISTICS {0}_s RENAME TO {0}_t",
    ),
    "function_in_view": (
        _HALF,
        "CREATE TABLE {0} (a int)",
        "CREATE VIEW {0}_v AS SELECT {0}_f(a) AS h FROM {0}",
        "ALTER FUNCTION {0}_f(int) RENAME TO {0}_g",
        "ALTER TABLE {0} RENAME COLUMN a TO b",
    ),
    "function_of_atomic_body": (
        _HALF,
        "CREATE FUNCTION {0}_h(a int) RETURNS int IMMUTABLE RETURN {0}_f(a)",
        "CREATE TABLE {0} (a int DEFAULT {0}_h(2))",
        "ALTER FUNCTION {0}_f(int) RENAME TO {0}_g",
        "DROP FUNCTION {0}_g CASCADE",
    ),
    "function_in_partition_key": (
        _HALF,
        "CREATE TABLE {0} (a int) PARTITION BY RANGE ({0}_f(a))",
        "CREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES FROM (1) TO (5)",
        "ALTER FUNCTION {0}_f(int) RENAME TO {0}_g",
    ),
    "operator_moved": (
        "CREATE FUNCTION {0}_f(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > $2'",
        "CREATE OPERATOR public.<<<< (LEFTARG = int, RIGHTARG = int, FUNCTION = {0}_f)",
        "CREATE TABLE {0} (a int CHECK (a OPERATOR(public.<<<<) 3))",
        "ALTER OPERATOR public.<<<< (int, int) SET SCHEMA later",
    ),
    "operator_dropped": (
        "CREATE FUNCTION {0}_f(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > $2'",
        "CREATE OPERATOR public.>>>> (LEFTARG = int, RIGHTARG = int, FUNCTION = {0}_f)",
        "CREATE TABLE {0} (a int CHECK (a OPERATOR(public.>>>>) 3))",
        "DROP OPERATOR public.>>>> (int, int) CASCADE",
    ),
    "exclusion": (
        "CREATE TABLE {0} (a int, b box, CONSTRAINT {0}_x EXCLUDE USING gist (b WITH &&) WHERE (a > 1))",
        "ALTER TABLE {0} RENAME CONSTRAINT {0}_x TO {0}_y",
        "ALTER INDEX {0}_y RENAME TO {0}_z",
        "ALTER TABLE {0} RENAME COLUMN b TO c",
    ),
    "sequence_renamed": (
        "CREATE SEQUENCE {0}_s; CREATE TABLE {0} (id int DEFAULT nextval('{0}_s'))",
        "ALTER SEQUENCE {0}_s RENAME TO {0}_t",
    ),
    "sequence_renamed_by_alter_table": (
        "CREATE TABLE {0} (id serial, b bigserial)",
        "ALTER TABLE {0}_id_seq RENAME TO {0}_t",
    ),
    "sequence_of_partitions": (
        "CREATE SEQUENCE {0}_s",
        "CREATE TABLE {0} (id int DEFAULT nextval('{0}_s')) PARTITION BY RANGE (id)",
        "CREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES FROM (0) TO (10)",
        "ALTER TABLE {0}_1 ALTER id DROP DEFAULT",
        "ALTER TABLE {0}_s RENAME TO {0}_t",
    ),
    "sequence_moved": (
        "CREATE SEQUENCE {0}_s; CREATE TABLE {0} (id int DEFAULT nextval('{0}_s'))",
        "ALTER SEQUENCE {0}_s SET SCHEMA later",
    ),
    "sequence_owned": (
        "CREATE SEQUENCE {0}_s; CREATE TABLE {0} (id int DEFAULT nextval('{0}_s'))",
        "ALTER SEQUENCE {0}_s OWNED BY {0}.id",
        "CREATE TABLE {0}_u (id int DEFAULT nextval('{0}_s'))",
        "ALTER TABLE {0} DROP COLUMN id CASCADE",
    ),
    "sequence_of_dropped_table": (
        "CREATE TABLE {0} (id serial)",
        "CREATE TABLE {0}_u (id int DEFAULT nextval('{0}_id_seq'))",
        "DROP TABLE {0} CASCADE",
    ),
    "serial_table_moved": ("CREATE TABLE {0} (id serial)", "ALTER TABLE {0} SET SCHEMA later"),
    "serial_table_renamed": ("CREATE TABLE {0} (id serial)", "ALTER TABLE {0} RENAME TO {0}_new"),
    "identity": (
        "CREATE TABLE {0} (id int GENERATED BY DEFAULT AS IDENTITY, a int NOT NULL)",
        "ALTER TABLE {0} ALTER id SET GENERATED ALWAYS",
        "ALTER TABLE {0} ALTER a ADD GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE {0} ALTER id DROP IDENTITY",
        "ALTER SEQUENCE {0}_a_seq RENAME TO {0}_b",
        "ALTER TABLE {0} ALTER a SET INCREMENT BY 3 RESTART 5",
    ),
    # --- types ---
    "enum_renamed": (
        _ENUM,
        "CREATE TABLE {0} (a {0}_t DEFAULT 'a', b {0}_t[] CHECK (b <> '{{a}}'))",
        "CREATE TABLE {0}_x (c text DEFAULT 'b'::{0}_t::text CHECK (c::{0}_t <> 'a'))",
        "ALTER TYPE {0}_t RENAME TO {0}_u",
    ),
    "enum_moved": (
        _ENUM,
        "CREATE TABLE {0} (a {0}_t DEFAULT 'a', b {0}_t[])",
        "CREATE TABLE {0}_x (c text DEFAULT 'b'::{0}_t::text)",
        "CREATE INDEX ON {0} (a) WHERE a > 'a'",
        "ALTER TYPE {0}_t SET SCHEMA later",
    ),
    "enum_grown": (_ENUM, "CREATE TABLE {0} (a {0}_t)", "ALTER TYPE {0}_t ADD VALUE 'c' AFTER 'a'"),
    "enum_label_renamed": (
        _ENUM,
        "CREATE TABLE {0} (a {0}_t DEFAULT 'a', b text DEFAULT 'a'::{0}_t::text)",
        "ALTER TYPE {0}_t RENAME VALUE 'a' TO 'z'",
    ),
    "enum_dropped": (
        _ENUM,
        "CREATE TABLE {0} (a {0}_t, b text, c int, UNIQUE (a, c))",
        "DROP TYPE {0}_t CASCADE",
    ),
    "enum_in_expression_dropped": (
        _ENUM,
        "CREATE TABLE {0} (b text DEFAULT 'a'::{0}_t::text)",
        "DROP TYPE {0}_t CASCADE",
    ),
    "domain_renamed": (
        "CREATE DOMAIN {0}_d AS int CHECK (VALUE > 0)",
        "CREATE TABLE {0} (a {0}_d, b {0}_d[], c int DEFAULT 3::{0}_d)",
        "ALTER DOMAIN {0}_d RENAME TO {0}_e",
        "ALTER TYPE {0}_e SET SCHEMA later",
        "ALTER DOMAIN later.{0}_e SET DEFAULT 8",
    ),
    "domain_dropped": (
        "CREATE DOMAIN {0}_d AS int",
        "CREATE DOMAIN {0}_e AS {0}_d",
        "CREATE TABLE {0} (id int, a {0}_e, b {0}_d[])",
        "DROP DOMAIN {0}_d CASCADE",
    ),
    "domain_of_renamed_type": (
        _ENUM,
        "CREATE DOMAIN {0}_d AS {0}_t DEFAULT 'a'",
        "CREATE TABLE {0} (a {0}_d, b {0}_d DEFAULT 'b')",
        "ALTER TYPE {0}_t RENAME TO {0}_u",
    ),
    "composite_renamed": (
        "CREATE TYPE {0}_t AS (x int, y text)",
        "CREATE TABLE {0} (a {0}_t, b {0}_t[], c text DEFAULT (ROW(1, 'b')::{0}_t)::text)",
        "CREATE INDEX ON {0} (((a).x))",
        "ALTER TYPE {0}_t RENAME TO {0}_u",
    ),
    "composite_attribute_renamed": (
        "CREATE TYPE {0}_t AS (x int, y text)",
        "CREATE TABLE {0} (a {0}_t CHECK ((a).x > 0))",
        "CREATE INDEX ON {0} (((a).x))",
        "ALTER TYPE {0}_t RENAME ATTRIBUTE x TO z CASCADE",
    ),
    "typed_table": (
        "CREATE TYPE {0}_t AS (x int, y text)",
        "CREATE TABLE {0} OF {0}_t (PRIMARY KEY (x))",
        "ALTER TYPE {0}_t ADD ATTRIBUTE w int CASCADE",
    ),
    "row_type_of_a_table": (
        "CREATE TABLE {0} (x int, y int)",
        "CREATE TABLE {0}_u (a {0}, b {0}[], c int)",
        "CREATE INDEX ON {0}_u (((a).x))",
        "ALTER TABLE {0} RENAME TO {0}_v",
        "ALTER TABLE {0}_v RENAME COLUMN x TO z",
        "ALTER TABLE {0}_v SET SCHEMA later",
    ),
    "row_type_dropped": (
        "CREATE TABLE {0} (x int)",
        "CREATE TABLE {0}_u (a {0}, b {0}[], c int)",
        "DROP TABLE {0} CASCADE",
    ),
    "view_as_type": (
        "CREATE VIEW {0}_v AS SELECT 1 AS x",
        "CREATE TABLE {0} (a {0}_v, c int)",
        "ALTER VIEW {0}_v RENAME TO {0}_w",
        "DROP VIEW {0}_w CASCADE",
    ),
    "range_type": (
        "CREATE TYPE {0}_t AS RANGE (subtype = int, multirange_type_name = {0}_m)",
        "CREATE TABLE {0} (a {0}_t, b {0}_m, c {0}_m[] DEFAULT '{{}}', d text DEFAULT {0}_t(1, 2)::text)",
        "ALTER TYPE {0}_t RENAME TO {0}_u",
        "ALTER TYPE {0}_m RENAME TO {0}_n",
        # Its constructor keeps the old name, which no dump can make: nothing after it would be built.
        "DROP TABLE {0}",
    ),
    "collation_renamed": (
        'CREATE COLLATION {0}_c FROM "C"',
        "CREATE TABLE {0} (a text COLLATE {0}_c, b text CHECK (b COLLATE {0}_c > ''))",
        "CREATE INDEX ON {0} (b COLLATE {0}_c)",
        "ALTER COLLATION {0}_c RENAME TO {0}_d",
        "ALTER COLLATION {0}_d SET SCHEMA later",
    ),
    "collation_dropped": (
        'CREATE COLLATION {0}_c FROM "C"',
        "CREATE TABLE {0} (a text COLLATE {0}_c, b text DEFAULT ('x' COLLATE {0}_c))",
        "CREATE INDEX ON {0} (b COLLATE {0}_c)",
        "DROP COLLATION {0}_c CASCADE",
    ),
    "operator_class": (
        "CREATE OPERATOR CLASS {0}_o FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,"
        " OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int)",
        "CREATE TABLE {0} (a int)",
        "CREATE INDEX ON {0} (a {0}_o)",
        "ALTER OPERATOR CLASS {0}_o USING btree RENAME TO {0}_p",
        "DROP OPERATOR CLASS {0}_p USING btree CASCADE",
    ),
    "text_search": (
        "CREATE TEXT SEARCH CONFIGURATION {0}_c (COPY = simple)",
        "CREATE TABLE {0} (a text,"
        " t tsvector GENERATED ALWAYS AS (to_tsvector('public.{0}_c'::regconfig, a)) STORED)",
        "CREATE INDEX ON {0} USING gin (to_tsvector('public.{0}_c'::regconfig, a))",
        "ALTER TEXT SEARCH CONFIGURATION {0}_c RENAME TO {0}_d",
        "DROP TEXT SEARCH CONFIGURATION {0}_d CASCADE",
    ),
    # --- tables named in others ---
    "table_named_in_default": (
        "CREATE TABLE {0} (id int)",
        "CREATE TABLE {0}_u (r text DEFAULT '{0}'::regclass::text CHECK (r <> '{0}'::regclass::text))",
        "ALTER TABLE {0} RENAME TO {0}_v",
        "ALTER TABLE {0}_v SET SCHEMA later",
    ),
    "referred_renamed": (
        *_REFERRED,
        "ALTER TABLE {0} RENAME TO {0}_n",
        "ALTER TABLE {0}_n RENAME COLUMN id TO key",
        "ALTER TABLE {0}_n SET SCHEMA later",
    ),
    "referred_key_dropped": (*_REFERRED, "ALTER TABLE {0} DROP CONSTRAINT {0}_u_key CASCADE"),
    "referred_column_dropped": (*_REFERRED, "ALTER TABLE {0} DROP COLUMN id CASCADE"),
    "referred_dropped": (*_REFERRED, "DROP TABLE {0} CASCADE"),
    "referred_index_dropped": (
        "CREATE TABLE {0} (id int NOT NULL); CREATE UNIQUE INDEX {0}_i ON {0} (id)",
        "CREATE TABLE {0}_r (id int REFERENCES {0} (id))",
        "DROP INDEX {0}_i CASCADE",
    ),
    "foreign_key_altered": (
        *_REFERRED,
        "ALTER TABLE {0}_r ALTER CONSTRAINT {0}_r_id_fkey DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE {0}_r ADD CONSTRAINT {0}_nv FOREIGN KEY (u) REFERENCES {0} (u) NOT VALID",
        "ALTER TABLE {0}_r VALIDATE CONSTRAINT {0}_nv",
        "ALTER TABLE {0}_r RENAME CONSTRAINT {0}_nv TO {0}_vv",
    ),
    "several_referred_dropped": (
        *_REFERRED,
        "CREATE TABLE {0}_2 (id int PRIMARY KEY, o int REFERENCES {0})",
        "CREATE TABLE {0}_3 (a int REFERENCES {0}, b int REFERENCES {0}_2)",
        "DROP TABLE {0}, {0}_2 CASCADE",
    ),
    "parted_referred": (
        *_PARTED,
        "CREATE TABLE {0}_r (id int, a int, FOREIGN KEY (id, a) REFERENCES {0})",
        "ALTER TABLE {0} RENAME TO {0}_n",
        "ALTER TABLE {0}_n DETACH PARTITION {0}_1",
        "ALTER TABLE {0}_n ATTACH PARTITION {0}_1 FOR VALUES FROM (0) TO (10)",
        "DROP TABLE {0}_n CASCADE",
    ),
    "parted_refers": (
        *_PARTED,
        "CREATE TABLE {0}_r (id int PRIMARY KEY)",
        "ALTER TABLE {0} ADD CONSTRAINT {0}_fk FOREIGN KEY (a) REFERENCES {0}_r",
        "ALTER TABLE {0} RENAME CONSTRAINT {0}_fk TO {0}_kf",
        "DROP TABLE {0}_r CASCADE",
    ),
    # --- constraints and indexes ---
    "constraint_renames_index": (
        "CREATE TABLE {0} (id int CONSTRAINT {0}_pk PRIMARY KEY, u int UNIQUE)",
        "ALTER TABLE {0} RENAME CONSTRAINT {0}_pk TO {0}_kp",
        "ALTER INDEX {0}_kp RENAME TO {0}_pp",
        "ALTER TABLE {0}_u_key RENAME TO {0}_uu",
    ),
    "index_becomes_key": (
        "CREATE TABLE {0} (id int)",
        "CREATE UNIQUE INDEX {0}_i ON {0} (id)",
        "ALTER TABLE {0} ADD CONSTRAINT {0}_pk PRIMARY KEY USING INDEX {0}_i",
        "ALTER TABLE {0} DROP CONSTRAINT {0}_pk",
    ),
    "index_settings": (
        "CREATE TABLE {0} (id int, t text)",
        "CREATE INDEX {0}_i ON {0} ((id + 1), t)",
        "ALTER INDEX {0}_i SET (fillfactor = 70)",
        "ALTER INDEX {0}_i ALTER COLUMN 1 SET STATISTICS 50",
        "ALTER INDEX {0}_i RESET (fillfactor)",
        "CLUSTER {0} USING {0}_i",
        "ALTER TABLE {0} CLUSTER ON {0}_i",
        "ALTER TABLE {0} SET WITHOUT CLUSTER",
        "REINDEX INDEX {0}_i",
        "REINDEX TABLE CONCURRENTLY {0}",
        "DROP INDEX CONCURRENTLY {0}_i",
        "CREATE INDEX CONCURRENTLY {0}_j ON {0} (t)",
    ),
    "same_index_name_elsewhere": (
        "CREATE TABLE {0} (id int); CREATE TABLE later.{0} (id int)",
        "CREATE INDEX {0}_i ON {0} (id)",
        "CREATE INDEX {0}_i ON later.{0} (id)",
        "DROP INDEX later.{0}_i",
    ),
    "check_validated": (
        "CREATE TABLE {0} (a int)",
        "ALTER TABLE {0} ADD CONSTRAINT {0}_c CHECK (a > 0) NOT VALID",
        "ALTER TABLE {0} VALIDATE CONSTRAINT {0}_c",
    ),
    "check_on_whole_row": (
        "CREATE TABLE {0} (a int, b int)",
        "ALTER TABLE {0} ADD CONSTRAINT {0}_c CHECK ({0} IS NOT NULL)",
        "ALTER TABLE {0} RENAME TO {0}_n",
    ),
    "column_with_everything_dropped": (
        "CREATE TABLE {0} (a int, b int DEFAULT 3, UNIQUE (a, b), CHECK (a > b),"
        " g int GENERATED ALWAYS AS (b + 1) STORED)",
        "CREATE INDEX ON {0} ((a + b)); CREATE INDEX ON {0} (a) WHERE b > 0",
        "ALTER TABLE {0} DROP COLUMN b CASCADE",
    ),
    "types_and_nulls": (
        "CREATE TABLE {0} (a int, b varchar(5) NOT NULL, c int DEFAULT 1, d text)",
        "CREATE INDEX ON {0} ((a + c)); CREATE INDEX ON {0} (lower(b))",
        "ALTER TABLE {0} ALTER a TYPE bigint, ALTER b TYPE text, ALTER b DROP NOT NULL,"
        ' ALTER d TYPE text COLLATE "C"',
        "ALTER TABLE {0} ALTER a SET NOT NULL, ALTER c DROP DEFAULT, ADD e int NOT NULL DEFAULT 7",
        "ALTER TABLE {0} RENAME COLUMN a TO aa",
        "ALTER TABLE {0} ALTER b SET STORAGE EXTERNAL, ALTER b SET COMPRESSION pglz,"
        " ALTER b SET (n_distinct = 5)",
    ),
    "generated_kept": (
        "CREATE TABLE {0} (a int, g int GENERATED ALWAYS AS (a * 2) STORED)",
        "ALTER TABLE {0} RENAME COLUMN a TO b",
        "ALTER TABLE {0} ALTER g DROP EXPRESSION",
    ),
    "persistence": (
        "CREATE UNLOGGED TABLE {0} (id serial)",
        "ALTER TABLE {0} SET LOGGED",
        "ALTER TABLE {0} SET UNLOGGED",
        "ALTER TABLE {0} SET LOGGED",
    ),
    "replica_identity": (
        "CREATE TABLE {0} (id int PRIMARY KEY)",
        "ALTER TABLE {0} REPLICA IDENTITY NOTHING",
        "ALTER TABLE {0} REPLICA IDENTITY USING INDEX {0}_pkey",
        "ALTER TABLE {0} RENAME TO {0}_n",
    ),
    "table_settings": (
        "CREATE TABLE {0} (id int, t text)",
        "ALTER TABLE {0} SET (fillfactor = 60, autovacuum_enabled = false)",
        "ALTER TABLE {0} RESET (fillfactor)",
        "ALTER TABLE {0} SET ACCESS METHOD heap",
        "ALTER TABLE {0} FORCE ROW LEVEL SECURITY",
        "ALTER TABLE {0} OWNER TO pg_monitor",
        "COMMENT ON COLUMN {0}.t IS 'so'",
    ),
    # --- partitions ---
    "parted_changed": (
        *_PARTED,
        "CREATE INDEX {0}_ix ON {0} (a)",
        "ALTER TABLE {0} ADD COLUMN c int DEFAULT 4",
        "ALTER TABLE {0} RENAME COLUMN b TO bb",
        "ALTER TABLE {0} ALTER bb SET DEFAULT 'x', ALTER a SET NOT NULL",
        "ALTER TABLE {0} ADD CONSTRAINT {0}_ck CHECK (a > 0)",
        "ALTER TABLE {0} RENAME CONSTRAINT {0}_ck TO {0}_kc",
        "ALTER TABLE {0} DROP CONSTRAINT {0}_kc",
        "ALTER TABLE {0} DROP COLUMN bb",
        "ALTER TABLE {0} ADD UNIQUE (id, a)",
        "ALTER INDEX {0}_ix RENAME TO {0}_xi",
        "DROP INDEX {0}_xi",
        "ALTER TABLE {0} DROP CONSTRAINT {0}_pkey",
    ),
    "parted_renamed": (
        *_PARTED,
        "ALTER TABLE {0} RENAME TO {0}_n",
        "ALTER TABLE {0}_2 RENAME TO {0}_two",
        "ALTER TABLE {0}_1 SET SCHEMA later",
        "ALTER TABLE {0}_n SET SCHEMA later",
    ),
    "parted_indexes": (
        *_PARTED,
        "CREATE INDEX {0}_root ON ONLY {0} (a)",
        "CREATE INDEX {0}_one ON {0}_1 (a)",
        "ALTER INDEX {0}_root ATTACH PARTITION {0}_one",
        "CREATE TABLE {0}_3 (LIKE {0} INCLUDING ALL)",
        "ALTER TABLE {0} ATTACH PARTITION {0}_3 FOR VALUES FROM (20) TO (30)",
        "DROP INDEX {0}_root",
    ),
    "parted_detached": (
        *_PARTED,
        "ALTER TABLE {0} ADD CONSTRAINT {0}_ck CHECK (a > 0)",
        "CREATE INDEX {0}_ix ON {0} (b)",
        "ALTER TABLE {0} DETACH PARTITION {0}_1",
        "ALTER TABLE {0} DETACH PARTITION {0}_2 CONCURRENTLY",
        "ALTER TABLE {0}_1 RENAME TO {0}_alone",
        "DROP TABLE {0}",
    ),
    "parted_dropped": (*_PARTED, "DROP TABLE {0}_2", "DROP TABLE {0} CASCADE"),
    "partition_with_own": (
        *_PARTED,
        "ALTER TABLE {0}_1 ADD CONSTRAINT {0}_own CHECK (a < 5), ALTER b SET DEFAULT 'own'",
        "ALTER TABLE {0}_1 ALTER COLUMN a SET NOT NULL",
        "CREATE INDEX {0}_owni ON {0}_1 (b)",
        "ALTER TABLE {0} ADD CONSTRAINT {0}_own CHECK (a < 5)",
        "ALTER TABLE {0} DROP CONSTRAINT {0}_own",
        "ALTER TABLE ONLY {0} ALTER b SET DEFAULT 'only'",
    ),
    "default_partition_and_hash": (
        "CREATE TABLE {0} (id int, a text) PARTITION BY LIST (a)",
        "CREATE TABLE {0}_d PARTITION OF {0} DEFAULT",
        "CREATE TABLE {0}_a PARTITION OF {0} FOR VALUES IN ('a')",
        "CREATE TABLE {0}_h PARTITION OF {0} FOR VALUES IN ('h') PARTITION BY HASH (id)",
        "CREATE TABLE {0}_h0 PARTITION OF {0}_h FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "ALTER TABLE {0} DETACH PARTITION {0}_d",
        "ALTER TABLE {0} DETACH PARTITION {0}_a",
    ),
    "partition_renamed_type": (
        _ENUM,
        "CREATE TABLE {0} (a {0}_t) PARTITION BY LIST (a)",
        "CREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES IN ('a')",
        "ALTER TYPE {0}_t RENAME TO {0}_u",
    ),
    "partition_label_renamed": (
        _ENUM,
        "CREATE TABLE {0} (a {0}_t) PARTITION BY LIST (a)",
        "CREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES IN ('a')",
        "ALTER TYPE {0}_t RENAME VALUE 'a' TO 'z'",
    ),
    # --- inheritance ---
    "family_changed": (
        *_FAMILY,
        "ALTER TABLE {0} ADD COLUMN n int DEFAULT 5",
        "ALTER TABLE {0} RENAME COLUMN a TO aa",
        "ALTER TABLE {0} ALTER aa TYPE bigint, ALTER aa SET NOT NULL",
        "ALTER TABLE {0} ADD CONSTRAINT {0}_k CHECK (n < 9) NOT VALID",
        "ALTER TABLE {0} VALIDATE CONSTRAINT {0}_k",
        "ALTER TABLE {0} RENAME CONSTRAINT {0}_k TO {0}_kk",
        "ALTER TABLE {0} DROP CONSTRAINT {0}_kk",
        "ALTER TABLE {0} DROP COLUMN n",
        "ALTER TABLE {0} RENAME TO {0}_n",
        "ALTER TABLE {0}_c RENAME TO {0}_m",
        "ALTER TABLE {0}_n SET SCHEMA later",
    ),
    "family_parted": (
        *_FAMILY,
        "CREATE TABLE {0}_o (id int, a int, x int)",
        "ALTER TABLE {0}_c NO INHERIT {0}",
        "ALTER TABLE {0}_o ADD CONSTRAINT {0}_a_check CHECK (a > 0), INHERIT {0}",
        "ALTER TABLE {0} DROP COLUMN id",
        "ALTER TABLE ONLY {0} DROP COLUMN a CASCADE",
    ),
    "family_of_two": (
        *_FAMILY,
        "CREATE TABLE {0}_p (id int, z int)",
        "CREATE TABLE {0}_both (id int) INHERITS ({0}, {0}_p)",
        "ALTER TABLE {0} DROP COLUMN id",
        "DROP TABLE {0}_p CASCADE",
    ),
    "family_parent_dropped": (*_FAMILY, "DROP TABLE {0} CASCADE"),
    "family_child_dropped": (*_FAMILY, "DROP TABLE {0}_g", "DROP TABLE {0}_c"),
    "family_by_alter_of_child": (
        *_FAMILY,
        "ALTER TABLE {0}_c ALTER a SET DEFAULT 4, ADD CONSTRAINT {0}_own CHECK (b > 1)",
        "ALTER TABLE ONLY {0} ADD CONSTRAINT {0}_only CHECK (id > 0) NO INHERIT",
        "ALTER TABLE {0}_c RENAME COLUMN b TO bb",
    ),
    # --- several at once ---
    "schema_with_elements": (
        "CREATE SCHEMA {0}_s CREATE TABLE x (id int PRIMARY KEY) CREATE VIEW v AS SELECT id FROM x"
        " CREATE TABLE y (id int REFERENCES x)",
        "DROP SCHEMA {0}_s CASCADE",
    ),
    "schema_dropped": (
        "CREATE SCHEMA {0}_s",
        "CREATE FUNCTION {0}_s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE {0}_s.q",
        "CREATE TYPE {0}_s.e AS ENUM ('a'); CREATE TABLE {0}_s.t (id int PRIMARY KEY)",
        "CREATE TABLE {0} (id int DEFAULT {0}_s.f(), n int DEFAULT nextval('{0}_s.q'), e {0}_s.e,"
        " t int REFERENCES {0}_s.t)",
        "DROP SCHEMA {0}_s CASCADE",
    ),
    "schema_renamed": (
        "CREATE SCHEMA {0}_s; CREATE SEQUENCE {0}_s.q; CREATE TABLE {0} (n int DEFAULT nextval('{0}_s.q'))",
        "ALTER SCHEMA {0}_s RENAME TO {0}_u",
    ),
    "like": (
        "CREATE TABLE {0} (id serial PRIMARY KEY, c text DEFAULT 'x' CHECK (c <> ''))",
        "CREATE INDEX ON {0} (lower(c)); COMMENT ON COLUMN {0}.c IS 'c'",
        "CREATE TABLE {0}_l (LIKE {0} INCLUDING ALL)",
        "CREATE TABLE {0}_m (LIKE {0})",
        "DROP TABLE {0} CASCADE",
    ),
    "as_query": (
        "CREATE TABLE {0} AS SELECT 1 AS a, 'x'::text AS b, now() AS c",
        "SELECT a, b INTO {0}_i FROM {0}",
        "CREATE MATERIALIZED VIEW {0}_m AS SELECT * FROM {0}",
        "ALTER TABLE {0} RENAME COLUMN a TO aa",
        "DROP TABLE {0} CASCADE",
    ),
    "rules_and_triggers": (
        "CREATE TABLE {0} (id int); CREATE TABLE {0}_l (id int)",
        "CREATE RULE {0}_r AS ON INSERT TO {0} DO ALSO INSERT INTO {0}_l VALUES (new.id)",
        "ALTER RULE {0}_r ON {0} RENAME TO {0}_rr",
        "ALTER TABLE {0} DISABLE RULE {0}_rr",
        "CREATE FUNCTION {0}_f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
        "CREATE TRIGGER {0}_t BEFORE INSERT ON {0} FOR EACH ROW EXECUTE FUNCTION {0}_f()",
        "ALTER TRIGGER {0}_t ON {0} RENAME TO {0}_tt",
        "ALTER TABLE {0} ENABLE ALWAYS TRIGGER {0}_tt",
        "DROP FUNCTION {0}_f CASCADE",
        "DROP TABLE {0}_l CASCADE",
    ),
    "several_in_one_text": (
        "CREATE TABLE {0} (a int); ALTER TABLE {0} ADD b int; CREATE INDEX {0}_i ON {0} (b);"
        " ALTER TABLE {0} RENAME b TO c; DROP INDEX {0}_i",
        "BEGIN; ALTER TABLE {0} ADD d int DEFAULT 4; ALTER TABLE {0} DROP COLUMN d;"
        " ALTER TABLE {0} ADD d text; COMMIT",
        "CREATE TABLE {0}_x (id int PRIMARY KEY); ALTER TABLE {0} ADD FOREIGN KEY (a) REFERENCES {0}_x;"
        " DROP TABLE {0}_x CASCADE; CREATE TABLE {0}_x (id text)",
    ),
    "rolled_back": (
        "CREATE TABLE {0} (a int)",
        "BEGIN; ALTER TABLE {0} ADD b int; SAVEPOINT s; ALTER TABLE {0} RENAME b TO c; DROP TABLE old;"
        " ROLLBACK TO s; ALTER TABLE {0} ADD c int; COMMIT",
    ),
    "rolled_back_beside_a_block": (
        "CREATE TABLE {0} (a int)",
        "BEGIN; SAVEPOINT s; CREATE VIEW {0}_v AS SELECT 1; ROLLBACK TO s;"
        " DO $$ BEGIN CREATE VIEW {0}_w AS SELECT 2; END $$; COMMIT",
    ),
    "skipped_beside_a_block": (
        "DROP VIEW IF EXISTS {0}_v; DO $$ BEGIN CREATE VIEW {0}_w AS SELECT 2; END $$",
    ),
    "several_names_in_one_drop": (
        "CREATE TABLE {0} (a int); CREATE TABLE {0}_2 (a int); CREATE TABLE {0}_3 (a int)",
        "DROP TABLE {0}, {0}_2, {0}_3",
    ),
    "made_again": (
        *_REFERRED,
        "DROP TABLE {0}_r; DROP TABLE {0}; CREATE TABLE {0} (id text); CREATE TABLE {0}_r (x int)",
    ),
    "block": ("DO $$ BEGIN CREATE TABLE {0} (a int); ALTER TABLE {0} ADD b int; END $$",),
    "function_with_ddl": (
        "CREATE FUNCTION {0}_f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE {0} (a int);"
        " ALTER TABLE {0} ADD UNIQUE (a); END $$",
        "SELECT {0}_f()",
    ),
    "owned": (
        "GRANT CREATE, USAGE ON SCHEMA public TO {role}",
        "SET ROLE {role}; CREATE SEQUENCE {0}_q; CREATE TYPE {0}_e AS ENUM ('a'); RESET ROLE",
        "CREATE TABLE {0} (n int DEFAULT nextval('{0}_q'), e {0}_e, x int)",
        "REASSIGN OWNED BY {role} TO CURRENT_USER",
        "ALTER SEQUENCE {0}_q OWNER TO {role}",
        "DROP OWNED BY {role} CASCADE",
    ),
    "foreign_table": (
        "CREATE FOREIGN DATA WRAPPER {0}_w; CREATE SERVER {0}_v FOREIGN DATA WRAPPER {0}_w",
        "CREATE TABLE {0} (id int) PARTITION BY RANGE (id)",
        "CREATE FOREIGN TABLE {0}_f (id int, b int) SERVER {0}_v",
        "ALTER FOREIGN TABLE {0}_f RENAME COLUMN b TO c",
        "DROP FOREIGN DATA WRAPPER {0}_w CASCADE",
    ),
    "names_that_need_quotes": (
        'CREATE TABLE "{0} A.b" (id int PRIMARY KEY, "C d" int DEFAULT 3 CHECK ("C d" > 0))',
        'CREATE TABLE "{0} ref" (x int REFERENCES "{0} A.b")',
        'CREATE INDEX "{0} I.x" ON "{0} A.b" ("C d")',
        'ALTER TABLE "{0} A.b" RENAME COLUMN "C d" TO "C.e"',
        'ALTER TABLE "{0} A.b" DROP COLUMN "C.e"',
        'DROP TABLE "{0} A.b" CASCADE',
    ),
}

REFUSED = frozenset(
    (
        *("enum_label_renamed", "partition_label_renamed", "typed_table"),
        *("schema_renamed", "block", "function_with_ddl", "rolled_back", "rolled_back_beside_a_block"),
        *("owned", "foreign_table", "skipped_beside_a_block"),
    )
)
"""What a restore says no to, by name."""


def cases(role: str) -> dict[str, list[str]]:
    """Each case's statements; `role` is one that may own things."""
    return {
        name: [
            each.replace("{0}", f"k_{name}").replace("{role}", role).replace("{{", "{").replace("}}", "}")
            for each in statements
        ]
        for name, statements in _CASES.items()
    }
