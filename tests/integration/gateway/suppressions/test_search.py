"""A part of an address or of a detail is found by an index, among however many."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.bootstrap import database as migrations
from services.gateway.suppressions import index
from services.gateway.suppressions.fields import Query
from shared.runtime import postgres

MANY = 20_000


@pytest.fixture
async def filled(database: str) -> AsyncIterator[asyncpg.Pool]:
    """A list of many, of which one in ten thousand is at `rare.example`, under two spellings."""
    await migrations.migrate(database, None)
    pool = await postgres.connect(database, size=2)
    await pool.execute(
        """
        INSERT INTO projector.suppressions (created_at, sequence, workspace, hash, reason, email, address, detail)
        SELECT now() - n * interval '1 second', n, 'default', sha256(n::text::bytea), 'bounce',
            replace(replace(address, 'xn--rre-qla', 'Räre'), 'rare', 'RARE'), address, md5(n::text)
        FROM generate_series(1, $1::integer) n, LATERAL (
            SELECT 'user' || n || CASE n % 10000 WHEN 0 THEN '@rare.example' WHEN 1 THEN '@xn--rre-qla.example'
                ELSE '@world.test' END AS address
        ) made
        """,
        MANY,
    )
    await pool.execute("VACUUM ANALYZE projector.suppressions")
    yield pool
    await pool.close()


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (Query(email="rare.ex"), 2),
        (Query(email="@RARE"), 2),
        (Query(email="räre"), 2),
        (Query(email="xn--rre"), 2),
        (Query(q="RARE.example"), 2),
        (Query(q="9f61408e3afb633e50cdf1b20de6f466"), 1),
        (Query(q="nobody"), 0),
    ],
)
async def test_a_part_is_found_by_the_index(filled: asyncpg.Pool, query: Query, count: int) -> None:
    found, meta = await index.find(filled, "default", query)
    assert (len(found), meta.total) == (count, count)
    plan = await filled.fetchval(
        f"EXPLAIN (FORMAT JSON) {index.SQL['page'].format(where=index.SQL['where'])}",
        *index.filters("default", query), None, None, 21, 0,
    )  # fmt: skip
    assert "suppressions_by_part" in plan


async def test_an_erased_address_is_found_by_no_part_of_it(filled: asyncpg.Pool) -> None:
    await filled.execute(
        "UPDATE projector.suppressions SET email = NULL, address = NULL WHERE email LIKE '%RARE%'"
    )
    found, _ = await index.find(filled, "default", Query(email="rare.ex"))
    assert found == []
