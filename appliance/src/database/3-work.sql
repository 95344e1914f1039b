-- What is wanted of nodes, in versions, and what they told of it; what they have to do.

CREATE TABLE configurations (
    scope TEXT NOT NULL,
    version BIGINT NOT NULL,
    settings TEXT NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    rule TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (scope, version)
);

-- `applied` counts how often the node was told to follow anew.
CREATE TABLE reports (
    node TEXT PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    applied BIGINT NOT NULL,
    report TEXT
);

CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    node TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    message TEXT NOT NULL,
    result TEXT,
    cancel BIGINT NOT NULL,
    actor TEXT NOT NULL,
    created BIGINT NOT NULL,
    started BIGINT,
    ended BIGINT,
    revision BIGINT NOT NULL
);

CREATE INDEX tasks_of ON tasks (node, state);
