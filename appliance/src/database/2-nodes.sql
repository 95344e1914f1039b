-- On the server: codes that were given out, and the nodes that came with them.

CREATE TABLE codes (
    digest TEXT PRIMARY KEY,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

-- `key` and `poll` are digests: of the key that the node asked a certificate for, and of the secret by which it asks how
-- its request stands. `counter` and `nonce` are the last that were agreed on.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    poll TEXT NOT NULL,
    certificate TEXT,
    serial TEXT,
    expires BIGINT,
    requested BIGINT NOT NULL,
    seen BIGINT,
    version TEXT NOT NULL,
    counter BIGINT NOT NULL,
    nonce TEXT NOT NULL,
    reason TEXT,
    revision BIGINT NOT NULL
);
