from __future__ import annotations

from pathlib import Path

import pytest

from replicator.errors import SourceError
from replicator.source.dump import find, without_ours

DUMP = """\\restrict abc
--
-- PostgreSQL database dump
--

SET lock_timeout = 0;

--
-- Name: guests; Type: TABLE; Schema: public; Owner: planner
--

CREATE TABLE public.guests (
    note text DEFAULT '-- Name: replicator_x; Type: EVENT TRIGGER; Schema: -'
);


--
-- Name: replicator_weddings; Type: PUBLICATION; Schema: -; Owner: postgres
--

CREATE PUBLICATION replicator_weddings WITH (publish = 'insert');


--
-- Name: theirs; Type: PUBLICATION; Schema: -; Owner: postgres
--

CREATE PUBLICATION theirs FOR ALL TABLES;


--
-- Name: replicator_weddings public; Type: PUBLICATION TABLES IN SCHEMA; Schema: public; Owner: postgres
--

ALTER PUBLICATION replicator_weddings ADD TABLES IN SCHEMA public;


--
-- Name: replicator_ddl; Type: EVENT TRIGGER; Schema: -; Owner: postgres
--

CREATE EVENT TRIGGER replicator_ddl ON ddl_command_end EXECUTE FUNCTION replicator.on_ddl();


--
-- PostgreSQL database dump complete
--

\\unrestrict abc
"""


def test_our_objects_are_left_out_and_nothing_else() -> None:
    kept = without_ours(DUMP)
    assert "CREATE TABLE public.guests" in kept
    assert "Type: EVENT TRIGGER; Schema: -'" in kept
    assert "CREATE PUBLICATION theirs" in kept
    assert "replicator_weddings" not in kept
    assert "CREATE EVENT TRIGGER" not in kept
    assert kept.rstrip().endswith("--\n-- PostgreSQL database dump complete\n--")


def test_psqls_own_commands_are_no_sql_and_are_left_out() -> None:
    assert "restrict" not in without_ours(DUMP)


def test_a_dump_without_anything_of_ours_stays_as_it_is() -> None:
    plain = "--\n-- Name: a; Type: TABLE; Schema: public; Owner: p\n--\n\nCREATE TABLE a();\n"
    assert without_ours(plain) == plain


def test_line_breaks_of_the_database_s_own_stay_as_they_are() -> None:
    text = "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE t (v text DEFAULT 'a\r\nb\u2028\rc\x0b');\n"
    assert without_ours(text) == text


def test_a_pg_dump_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceError, match="/nowhere/pg_dump") as caught:
        find(Path("/nowhere/pg_dump"))
    assert "--pg-dump" in str(caught.value.next_step)
