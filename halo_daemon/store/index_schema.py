"""
The tables of the derived files, and the statements that fill them.

All of it can be deleted at any time. A change here means another
`SCHEMA_VERSION`: older files are then thrown away and built again.
"""

from halo_daemon.store import day_totals
from halo_daemon.store.span_row import ABSENT, SPAN_COLUMNS

SCHEMA_VERSION = 15

_DAY_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE shards (
    id INTEGER PRIMARY KEY,
    stem TEXT NOT NULL UNIQUE,
    indexed_bytes INTEGER NOT NULL
);

CREATE TABLE shapes (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    service_version TEXT NOT NULL,
    kind TEXT NOT NULL,
    observation_kind TEXT NOT NULL,
    status TEXT NOT NULL,
    tool TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    agent TEXT NOT NULL,
    error_type TEXT NOT NULL,
    project TEXT NOT NULL,
    flags INTEGER NOT NULL,
    spans INTEGER NOT NULL DEFAULT 0,
    traces INTEGER NOT NULL DEFAULT 0,
    UNIQUE (service, service_version, kind, observation_kind, status, tool, model, provider,
            agent, error_type, project, flags)
);

CREATE TABLE spans (
    id INTEGER PRIMARY KEY,
    superseded INTEGER NOT NULL DEFAULT 0,
    encloses INTEGER NOT NULL DEFAULT 0,
    shape INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    stored_parent_id NOT NULL,
    name TEXT NOT NULL,
    stored_session NOT NULL,
    stored_user NOT NULL,
    stored_agent_id NOT NULL,
    stored_message NOT NULL,
    stored_input_tokens NOT NULL,
    stored_output_tokens NOT NULL,
    stored_cost_usd NOT NULL,
    shard INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    parent_id AS (nullif(stored_parent_id, {ABSENT})),
    session TEXT AS (nullif(stored_session, {ABSENT})),
    user TEXT AS (nullif(stored_user, {ABSENT})),
    agent_id TEXT AS (nullif(stored_agent_id, {ABSENT})),
    message TEXT AS (nullif(stored_message, {ABSENT})),
    input_tokens INTEGER AS (nullif(stored_input_tokens, {ABSENT})),
    output_tokens INTEGER AS (nullif(stored_output_tokens, {ABSENT})),
    cost_usd REAL AS (CASE typeof(stored_cost_usd) WHEN 'real' THEN stored_cost_usd END)
);
CREATE UNIQUE INDEX span_versions ON spans (trace_id, span_id, superseded);

CREATE TABLE traces (
    id INTEGER PRIMARY KEY,
    trace_id BLOB NOT NULL UNIQUE,
    first_start_ns INTEGER NOT NULL,
    last_start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    first_received_ns INTEGER NOT NULL,
    last_received_ns INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    error_spans INTEGER NOT NULL,
    derived_errors INTEGER NOT NULL,
    tool_errors INTEGER NOT NULL,
    without_agent INTEGER NOT NULL,
    ended_roots INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    bytes INTEGER NOT NULL,
    first_session TEXT,
    last_session TEXT,
    first_user TEXT,
    last_user TEXT,
    missing_parents INTEGER NOT NULL DEFAULT 0,
    skewed_spans INTEGER NOT NULL DEFAULT 0,
    names TEXT NOT NULL DEFAULT ''
);

CREATE INDEX trace_starts ON traces (first_start_ns);
CREATE INDEX trace_ends ON traces (end_ns);
CREATE INDEX failing_trace_starts ON traces (first_start_ns)
    WHERE error_spans + derived_errors > 0;

CREATE TABLE trace_shapes (
    shape INTEGER NOT NULL,
    trace_id BLOB NOT NULL,
    PRIMARY KEY (shape, trace_id)
) WITHOUT ROWID;

CREATE TABLE trace_agents (
    agent_id TEXT NOT NULL,
    trace_id BLOB NOT NULL,
    PRIMARY KEY (agent_id, trace_id)
) WITHOUT ROWID;

CREATE TABLE missing_parents (
    trace_id BLOB NOT NULL,
    parent_id BLOB NOT NULL,
    PRIMARY KEY (trace_id, parent_id)
) WITHOUT ROWID;

CREATE TABLE bad_lines (
    shard INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    PRIMARY KEY (shard, offset)
) WITHOUT ROWID;
"""

DAY_SCHEMA = _DAY_TABLES + day_totals.SCHEMA

ADD_SPAN_ORDERS = (
    "CREATE INDEX IF NOT EXISTS span_shapes ON spans (shape, start_ns) WHERE superseded = 0",
    """
CREATE INDEX IF NOT EXISTS span_durations
    ON spans (shape, CASE WHEN end_ns > 0 THEN max(0, end_ns - start_ns) ELSE 0 END)
    WHERE superseded = 0
""",
)
"""Statements; no part of the schema, because sorting many spans once is faster than one by one."""

MERGED_SCHEMA = (
    DAY_SCHEMA
    + """
CREATE TABLE taken (
    file TEXT PRIMARY KEY,
    row INTEGER NOT NULL,
    stem TEXT NOT NULL,
    offset INTEGER NOT NULL
) WITHOUT ROWID;
"""
)
"""Of the index of traces with rows in several days."""

CATALOG_SCHEMA = """
CREATE TABLE entered (file TEXT PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE trace_days (
    trace_id BLOB PRIMARY KEY,
    day TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE shared_days (
    trace_id BLOB NOT NULL,
    day TEXT NOT NULL,
    PRIMARY KEY (trace_id, day)
) WITHOUT ROWID;
"""

SPANS_AT_ONCE = 40
"""Rows that one statement stores: fewer steps into SQLite, and no more marks than old ones take."""

_SPAN_VALUES = f"({', '.join('?' * len(SPAN_COLUMNS))})"
_INSERT_SPANS = f"INSERT OR IGNORE INTO spans ({', '.join(SPAN_COLUMNS)}) VALUES "  # noqa: S608 -- constants

INSERT_SPAN = _INSERT_SPANS + _SPAN_VALUES
"""Takes what `span_row.bindable` makes of a row."""

INSERT_SPANS = _INSERT_SPANS + ", ".join([_SPAN_VALUES] * SPANS_AT_ONCE)
"""Takes what it makes of `SPANS_AT_ONCE` rows."""

INSERT_SUPERSEDED = (
    f"INSERT INTO spans ({', '.join(SPAN_COLUMNS)}, superseded)"  # noqa: S608 -- constants
    f" VALUES ({', '.join('?' * len(SPAN_COLUMNS))}, ?1)"
)
"""Takes what `span_row.bindable` makes of a row: its id is the first value."""

SUPERSEDE = "UPDATE spans SET superseded = id WHERE id = ?"

_ROLLUP = """
    trace_id,
    min(CASE WHEN superseded = 0 THEN start_ns END),
    max(CASE WHEN superseded = 0 THEN start_ns END),
    max(CASE WHEN superseded = 0 THEN end_ns END),
    min(received_ns),
    max(received_ns),
    sum(superseded = 0),
    sum(superseded != 0),
    sum(superseded = 0 AND flags & 1),
    sum(superseded = 0 AND flags & 2 != 0),
    sum(superseded = 0 AND flags & 4 != 0),
    sum(superseded = 0 AND flags & 8 != 0),
    sum(superseded = 0 AND parent_id IS NULL AND end_ns > 0),
    coalesce(sum(CASE WHEN superseded = 0 AND encloses = 0 THEN input_tokens END), 0),
    coalesce(sum(CASE WHEN superseded = 0 AND encloses = 0 THEN output_tokens END), 0),
    coalesce(sum(CASE WHEN superseded = 0 AND encloses = 0 THEN cost_usd END), 0.0),
    sum(length),
    min(CASE WHEN superseded = 0 THEN session END),
    max(CASE WHEN superseded = 0 THEN session END),
    min(CASE WHEN superseded = 0 THEN user END),
    max(CASE WHEN superseded = 0 THEN user END)
"""

_TRACE_COLUMNS = """
    trace_id, first_start_ns, last_start_ns, end_ns, first_received_ns, last_received_ns, spans,
    duplicates, error_spans, derived_errors, tool_errors, without_agent, ended_roots,
    input_tokens, output_tokens, cost_usd, bytes, first_session, last_session, first_user,
    last_user
"""

_GAINED_TEXTS = ", ".join([f"nullif(?, {ABSENT})"] * 4)

ADD_TO_TRACE = f"""
INSERT INTO traces ({_TRACE_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, {_GAINED_TEXTS})
ON CONFLICT (trace_id) DO UPDATE SET
    first_start_ns = min(first_start_ns, excluded.first_start_ns),
    last_start_ns = max(last_start_ns, excluded.last_start_ns),
    end_ns = max(end_ns, excluded.end_ns),
    first_received_ns = min(first_received_ns, excluded.first_received_ns),
    last_received_ns = max(last_received_ns, excluded.last_received_ns),
    spans = spans + excluded.spans,
    error_spans = error_spans + excluded.error_spans,
    derived_errors = derived_errors + excluded.derived_errors,
    tool_errors = tool_errors + excluded.tool_errors,
    without_agent = without_agent + excluded.without_agent,
    ended_roots = ended_roots + excluded.ended_roots,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cost_usd = cost_usd + excluded.cost_usd,
    bytes = bytes + excluded.bytes,
    first_session =
        coalesce(min(first_session, excluded.first_session), first_session, excluded.first_session),
    last_session =
        coalesce(max(last_session, excluded.last_session), last_session, excluded.last_session),
    first_user = coalesce(min(first_user, excluded.first_user), first_user, excluded.first_user),
    last_user = coalesce(max(last_user, excluded.last_user), last_user, excluded.last_user)
"""  # noqa: S608 -- constants of this module
"""Takes `trace_gain.TraceGain.figures`."""

ADD_TO_SHAPE = "UPDATE shapes SET spans = spans + ? WHERE id = ?"

ADD_TRACE_SHAPE = "INSERT OR IGNORE INTO trace_shapes VALUES (?, ?)"

ADD_TRACES_TO_SHAPE = "UPDATE shapes SET traces = traces + ? WHERE id = ?"

NAMES_OF_TRACE = "SELECT names FROM traces WHERE trace_id = ?"

SET_NAMES = "UPDATE traces SET names = ? WHERE trace_id = ?"

NAMED_BY_SPANS = """
SELECT DISTINCT service, model, tool, agent, agent_id, project
FROM spans JOIN shapes ON shapes.id = shape WHERE trace_id = ? AND superseded = 0
"""

RECOUNT_TRACE = f"""
UPDATE traces SET ({_TRACE_COLUMNS}) = (
    SELECT {_ROLLUP} FROM spans WHERE trace_id = :trace_id
)
WHERE trace_id = :trace_id
"""  # noqa: S608 -- constants of this module

CALLS_OF_TRACE = """
SELECT id, span_id, parent_id,
       input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR cost_usd IS NOT NULL, encloses
FROM spans WHERE trace_id = ? AND superseded = 0
"""

FIND_CALL = """
SELECT parent_id, input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR cost_usd IS NOT NULL,
       encloses
FROM spans WHERE trace_id = ? AND span_id = ? AND superseded = 0
"""

ADD_TRACE_AGENT = "INSERT OR IGNORE INTO trace_agents VALUES (?, ?)"

# There is no index by trace: a trace has the shapes of its spans and no other.
_SHAPES_OF_TRACE = (
    "trace_id = :trace_id AND shape IN (SELECT shape FROM spans WHERE trace_id = :trace_id)"
)

RECOUNT_TRACE_SHAPES = f"""
UPDATE shapes SET traces = traces - 1
WHERE id IN (SELECT shape FROM trace_shapes WHERE {_SHAPES_OF_TRACE});
DELETE FROM trace_shapes WHERE {_SHAPES_OF_TRACE};
INSERT INTO trace_shapes
SELECT DISTINCT shape, trace_id FROM spans WHERE trace_id = :trace_id AND superseded = 0;
UPDATE shapes SET traces = traces + 1
WHERE id IN (SELECT shape FROM spans WHERE trace_id = :trace_id AND superseded = 0);
DELETE FROM trace_agents WHERE trace_id = :trace_id AND agent_id IN
    (SELECT agent_id FROM spans WHERE trace_id = :trace_id);
INSERT INTO trace_agents
SELECT DISTINCT agent_id, trace_id FROM spans
WHERE trace_id = :trace_id AND superseded = 0 AND agent_id IS NOT NULL
""".split(";\n")  # noqa: S608 -- constants of this module
"""Statements, in this order."""

NOTE_MISSING_PARENT = "INSERT OR IGNORE INTO missing_parents VALUES (?, ?)"

FIND_START = "SELECT start_ns FROM spans WHERE trace_id = ? AND span_id = ? AND superseded = 0"

MISSING_PARENTS_OF_TRACE = "SELECT parent_id FROM missing_parents WHERE trace_id = ?"

FORGET_MISSING_PARENT = "DELETE FROM missing_parents WHERE trace_id = ? AND parent_id = ?"

COUNT_EARLY_CHILDREN = """
SELECT count(*) FROM spans
WHERE trace_id = ? AND superseded = 0 AND parent_id = ? AND start_ns < ? AND id < ?
"""

SET_STRUCTURE = """
UPDATE traces SET
    missing_parents = (SELECT count(*) FROM missing_parents m WHERE m.trace_id = traces.trace_id),
    skewed_spans = skewed_spans + ?
WHERE trace_id = ?
"""

FORGET_MISSING_PARENTS = "DELETE FROM missing_parents WHERE trace_id = :trace_id"

RECOUNT_MISSING_PARENTS = """
INSERT INTO missing_parents
SELECT DISTINCT trace_id, parent_id FROM spans s
WHERE trace_id = :trace_id AND superseded = 0 AND parent_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM spans p
    WHERE p.trace_id = s.trace_id AND p.span_id = s.parent_id AND p.superseded = 0
)
"""

RECOUNT_STRUCTURE = """
UPDATE traces SET
    missing_parents = (SELECT count(*) FROM missing_parents m WHERE m.trace_id = :trace_id),
    skewed_spans = (
        SELECT count(*) FROM spans s JOIN spans p
        ON p.trace_id = s.trace_id AND p.span_id = s.parent_id AND p.superseded = 0
        WHERE s.trace_id = :trace_id AND s.superseded = 0 AND s.start_ns < p.start_ns
    )
WHERE trace_id = :trace_id
"""
