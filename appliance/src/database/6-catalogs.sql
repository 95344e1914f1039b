-- Whose signatures are believed, by a tenant, or where none is named by the provider for what is its own.
CREATE TABLE trust_roots (
    id TEXT PRIMARY KEY,
    tenant TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    certificate TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created BIGINT NOT NULL
);

CREATE UNIQUE INDEX trust_roots_of ON trust_roots (COALESCE(tenant, ''), fingerprint);

-- What is asked of packages beside that, as a JSON document.
CREATE TABLE policies (
    id TEXT PRIMARY KEY,
    tenant TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    document TEXT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE UNIQUE INDEX policies_of ON policies (COALESCE(tenant, ''));

-- The most bytes that a tenant's versions may have together, as their files are long.
CREATE TABLE quotas (
    tenant TEXT PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    bytes BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE catalogs (
    id TEXT PRIMARY KEY,
    tenant TEXT REFERENCES tenants (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE UNIQUE INDEX catalogs_of ON catalogs (COALESCE(tenant, ''), name);

-- What a catalog offers. The version that is current is what people and other nodes get.
CREATE TABLE items (
    id TEXT PRIMARY KEY,
    catalog TEXT NOT NULL REFERENCES catalogs (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    description TEXT NOT NULL,
    labels TEXT NOT NULL,
    current TEXT,
    created BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    UNIQUE (catalog, name)
);

-- Labels, once more, for those who search by them.
CREATE TABLE item_labels (
    item TEXT NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (item, name)
);

CREATE INDEX item_labels_by ON item_labels (name, value);

CREATE TABLE versions (
    id TEXT PRIMARY KEY,
    item TEXT NOT NULL REFERENCES items (id),
    label TEXT NOT NULL,
    state TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    digest TEXT,
    verdict TEXT,
    signer TEXT,
    attempts BIGINT NOT NULL,
    author TEXT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE INDEX versions_of ON versions (item, created);

-- A version's label stands once for what is there or on its way; what was refused doesn't keep it.
CREATE UNIQUE INDEX versions_by_label ON versions (item, label) WHERE state <> 'REJECTED';

-- A file is in quarantine by its id, and then the tenant's blob of its digest.
CREATE TABLE files (
    id TEXT PRIMARY KEY,
    version TEXT NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    expected TEXT,
    digest TEXT,
    UNIQUE (version, position),
    UNIQUE (version, name)
);

CREATE INDEX files_by_digest ON files (digest);
