"""Many random stories of which the DDL log alone is followed.

`python -m tests.histories.ddl_log --seeds 0 200` needs PostgreSQL and nothing else, so hundreds of
transactions take seconds. What goes wrong is printed with the transaction after which it did.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from uuid import uuid4

import psycopg

from deploy.local.endpoints import Endpoints
from deploy.local.temporary import given_or_temporary
from tests.histories.ddl_cases import BEGINNING, REFUSED, cases
from tests.histories.followed import Followed
from tests.histories.history import EXPECTED
from tests.histories.story import Story

_TOGETHER = 12
"""So many cases share a database: a look reads all of its tables."""


def wrong_cases(endpoints: Endpoints, wanted: str = "") -> Iterator[str]:
    """What is wrong with the cases whose names have one of `wanted` (with commas) in them: one line each."""
    with psycopg.connect(endpoints.postgres.dsn, autocommit=True) as admin, _role(admin) as role:
        yield from _wrong_cases(endpoints, wanted, role)


@contextmanager
def _role(admin: psycopg.Connection) -> Iterator[str]:
    name = f"r{uuid4().hex[:10]}"
    admin.execute(f"CREATE ROLE {name}".encode())
    try:
        yield name
    finally:
        admin.execute(f"DROP ROLE {name}".encode())


def _wrong_cases(endpoints: Endpoints, wanted: str, role: str) -> Iterator[str]:
    named = [
        (name, statements)
        for name, statements in cases(role).items()
        if any(each in name for each in wanted.split(","))
    ]
    for first in range(0, len(named), _TOGETHER):
        yield from _wrong_together(endpoints, dict(named[first : first + _TOGETHER]))


def _wrong_together(endpoints: Endpoints, named: Mapping[str, Sequence[str]]) -> Iterator[str]:
    with closing(Followed(endpoints, BEGINNING)) as followed:
        for name, statements in named.items():
            reasons = []
            for number, statement in enumerate(statements):
                try:
                    followed.sql.execute(statement.encode())
                except psycopg.Error as error:
                    yield f"{name}: {statement[:70]}: PostgreSQL says {error}"
                found = followed.look(built=number == len(statements) - 1)
                reasons += [found.refused] if found.refused else []
                yield from (f"{name}: {statement[:70]}: {each}" for each in found.wrong)
            if bool(reasons) != (name in REFUSED):
                yield f"{name}: {reasons or 'is not refused any more'}"
        whole = followed.look(whole=True)
        yield from (f"after all of {', '.join(named)}: {each}" for each in whole.wrong)


def wrong_story(
    endpoints: Endpoints, seed: int, transactions: int, told: Counter[str] | None = None
) -> Iterator[str]:
    """What is wrong after one of a story's transactions; `told` counts them."""
    told = Counter() if told is None else told
    story = Story(seed)
    with closing(Followed(endpoints, story.begin())) as followed:
        followed.sql.execute("SET lock_timeout = '100ms'")
        for number in range(transactions):
            statements = story.transaction()
            try:
                with followed.sql.transaction():
                    for statement in statements:
                        followed.sql.execute(statement.encode())
            except EXPECTED as error:
                story.forget()
                told["failed"] += 1
                told[f"failed: {str(error).splitlines()[0]}"] += 1
                continue
            told["committed"] += 1
            last = number == transactions - 1
            found = followed.look(built=number % 5 == 4 or last, whole=last)
            told["refused"] += found.refused is not None
            for each in found.wrong:
                yield f"seed {seed}, transaction {number}, {'; '.join(statements)[:300]}: {each}"


def main() -> int:
    """Run the cases and as many stories as are asked for; returns 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 10), metavar=("FROM", "TO"))
    parser.add_argument("--transactions", type=int, default=150)
    parser.add_argument(
        "--cases", default=None, help="only the cases with this in their name, and no stories"
    )
    parser.add_argument("--failures", action="store_true", help="print why transactions failed")
    arguments = parser.parse_args()
    told: Counter[str] = Counter()
    wrong = 0
    with given_or_temporary("ddl", ("postgres",)) as stack:
        for line in wrong_cases(stack.endpoints, arguments.cases or ""):
            print(line, flush=True)
            wrong += 1
        for seed in range(*arguments.seeds) if arguments.cases is None else ():
            for line in wrong_story(stack.endpoints, seed, arguments.transactions, told):
                print(line, flush=True)
                wrong += 1
    shown = (
        told.most_common()
        if arguments.failures
        else [(k, told[k]) for k in ("committed", "failed", "refused")]
    )
    print(f"{wrong} wrong; " + ", ".join(f"{count} {what}" for what, count in shown))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
