-- On the server: codes that were given out, the clouds, and the nodes that came with the codes.

CREATE TABLE codes (
    digest TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE TABLE clouds (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

-- `code`, `key` and `poll` are digests: of the code that the node came with, of the key that it asked a certificate for, and
-- of the secret by which it asks how its request stands. `cloud` is the name that it gives its cloud, and `counter` and
-- `nonce` are the last that were agreed on.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    cloud TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    poll TEXT NOT NULL,
    certificate TEXT,
    expires BIGINT,
    requested BIGINT NOT NULL,
    seen BIGINT,
    version TEXT NOT NULL,
    counter BIGINT NOT NULL,
    nonce TEXT NOT NULL,
    reason TEXT,
    revision BIGINT NOT NULL
);

CREATE INDEX nodes_of ON nodes (cloud);

-- Those by which a node is let in, numbered as they were made: the one it uses, and the one it was given last.
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    number BIGINT NOT NULL,
    node TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    begins BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE INDEX certificates_of ON certificates (node);
