-- Types and statements are those that SQLite and PostgreSQL share. Times are milliseconds since 1970 in UTC; a revision
-- counts the changes of its row.

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

-- A user without a tenant is the provider's. Names are a tenant's own: whether another has the same nobody can tell.
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    login TEXT NOT NULL UNIQUE,
    tenant TEXT REFERENCES tenants (id),
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    created BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

-- Sessions of people (no name), and tokens of robots. What is kept of a secret is its digest.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT,
    scope TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used BIGINT NOT NULL
);

CREATE INDEX tokens_of ON tokens (owner);

-- Each entry's digest covers the entry before it.
CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    tenant TEXT,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    digest TEXT NOT NULL
);

CREATE INDEX audit_of ON audit (tenant, number);

-- Answers to requests that may come again.
CREATE TABLE answers (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    status BIGINT NOT NULL,
    body TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (owner, key)
);
