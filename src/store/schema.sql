-- Version 1. Times are milliseconds since the Unix epoch. Later versions are steps after this one in MIGRATIONS.

CREATE TABLE incidents (
    id         TEXT PRIMARY KEY,
    level      INTEGER NOT NULL,            -- 0 informational … 4 critical
    subject    TEXT,
    state      TEXT NOT NULL,               -- people change it, so the engine's later versions do not
    opened_ms  INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    stored_ms  INTEGER NOT NULL,            -- last change, by the wall clock: retention counts from it
    json       TEXT NOT NULL                -- as the engine made it; state and actions are filled in when read
) STRICT;
CREATE INDEX incidents_by_time ON incidents (opened_ms, id);

CREATE TABLE findings (
    id       TEXT PRIMARY KEY,
    incident TEXT,
    time_ms  INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL,
    json     TEXT NOT NULL
) STRICT;
CREATE INDEX findings_by_incident ON findings (incident);

CREATE TABLE outbox (
    id         TEXT PRIMARY KEY,            -- a hash of what is done, so that a replay plans nothing twice
    incident   TEXT NOT NULL,
    kind       TEXT NOT NULL,               -- action | alert
    rank       INTEGER NOT NULL,            -- 0 denials, 1 provider calls, 2 alerts: contain first
    idempotent INTEGER NOT NULL,
    state      TEXT NOT NULL,               -- pending | leased | waiting | dry_run | done | dead | cancelled
    attempts   INTEGER NOT NULL DEFAULT 0,
    next_ms    INTEGER NOT NULL,            -- pending: not before; leased: when the lease ends
    outcome    TEXT,
    why        TEXT,
    at_ms      INTEGER NOT NULL,            -- last change
    by         TEXT NOT NULL,               -- policy, or the person who approved
    payload    TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_due ON outbox (state, next_ms);
CREATE INDEX outbox_by_incident ON outbox (incident);

CREATE TABLE denylist (
    target   TEXT NOT NULL,
    incident TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (target, incident)
) STRICT;

CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY,
    at_ms  INTEGER NOT NULL,
    text   TEXT,                            -- null once a person was forgotten
    salt   BLOB,                            -- makes the digest of a forgotten text unguessable
    digest BLOB NOT NULL,                   -- of salt and text
    hash   BLOB NOT NULL                    -- of the hash before, seq, at_ms and digest
) STRICT;

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
