-- What nodes are told to do may need words: a JSON document, or nothing.
ALTER TABLE tasks ADD COLUMN details TEXT;

CREATE INDEX tasks_unfinished ON tasks (ended, node);

-- On the server: where other nodes reach this one, NAME:PORT, as it told or as its requests come.
ALTER TABLE nodes ADD COLUMN endpoint TEXT NOT NULL DEFAULT '';

-- On the server: what was ordered to be moved from node to node. JSON documents: `wish` is what was asked for, `offer` what the
-- source told that it has, `route` how the bytes go now, `tried` how they could not, `told` the last that the destination said.
-- `grant_text` is the signed grant, once there is one, and `number` counts the grants; `task` is the one that it waits for.
CREATE TABLE transfers (
    id TEXT PRIMARY KEY,
    tenant TEXT REFERENCES tenants (id),
    source TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    destination TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    wish TEXT NOT NULL,
    moves BIGINT NOT NULL,
    state TEXT NOT NULL,
    cancel BIGINT NOT NULL,
    number BIGINT,
    grant_text TEXT,
    offer TEXT,
    route TEXT,
    tried TEXT NOT NULL,
    task TEXT,
    reach TEXT,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    message TEXT NOT NULL,
    told TEXT,
    receipt TEXT,
    released BIGINT,
    subscription TEXT,
    actor TEXT NOT NULL,
    created BIGINT NOT NULL,
    starts BIGINT NOT NULL,
    begun BIGINT,
    ended BIGINT,
    revision BIGINT NOT NULL
);

CREATE INDEX transfers_by_time ON transfers (created, id);
CREATE INDEX transfers_open ON transfers (ended, starts);
CREATE INDEX transfers_by_task ON transfers (task);
CREATE INDEX transfers_to_release ON transfers (moves, released);
CREATE INDEX transfers_of_subscription ON transfers (subscription);

-- On the server: the newest version of an item that a node has given a receipt for.
CREATE TABLE floors (
    node TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    catalog TEXT NOT NULL,
    item TEXT NOT NULL,
    label TEXT NOT NULL,
    PRIMARY KEY (node, tenant, catalog, item)
);

-- On the server: catalogs whose items follow those of another node's. `due` is when the source is asked next, by `task`, and
-- `after` where its answer goes on; `forced` is whether what was refused is tried again, by then or by now (`forcing`); `round`
-- counts the looks.
CREATE TABLE subscriptions (
    id TEXT PRIMARY KEY,
    tenant TEXT REFERENCES tenants (id),
    source TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    destination TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    wish TEXT NOT NULL,
    due BIGINT NOT NULL,
    forced BIGINT NOT NULL,
    forcing BIGINT NOT NULL,
    round BIGINT NOT NULL,
    after TEXT,
    task TEXT,
    message TEXT NOT NULL,
    looked BIGINT,
    actor TEXT NOT NULL,
    created BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE INDEX subscriptions_by_task ON subscriptions (task);
CREATE INDEX subscriptions_due ON subscriptions (due);

-- On the server: the items that a subscription has met, the round in which it met them last, and the newest transfer of each.
-- `untidy` is whether older versions are to go, and `task` what removes at the destination; where that is all, no transfer stands.
CREATE TABLE followed (
    subscription TEXT NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
    item TEXT NOT NULL,
    label TEXT NOT NULL,
    digest TEXT NOT NULL,
    transfer TEXT,
    round BIGINT NOT NULL,
    untidy BIGINT NOT NULL,
    task TEXT,
    PRIMARY KEY (subscription, item)
);

CREATE INDEX followed_by_task ON followed (task);

-- On a node: what came, or comes, from others, by the grant in `grant_text`, which is good for this one alone; `outcome` is the
-- signed receipt.
CREATE TABLE arrivals (
    id TEXT PRIMARY KEY,
    tenant TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    grant_text TEXT NOT NULL,
    version TEXT,
    subscription TEXT,
    state TEXT NOT NULL,
    outcome TEXT,
    wire BIGINT NOT NULL,
    reused BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE INDEX arrivals_by_version ON arrivals (version);

-- On a node: the versions of an item that were published here, whatever became of them since. No package writes to it, and it
-- outlives the item.
CREATE TABLE heights (
    tenant TEXT NOT NULL,
    catalog TEXT NOT NULL,
    item TEXT NOT NULL,
    label TEXT NOT NULL,
    release TEXT NOT NULL,
    digest TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, catalog, item, digest)
);

-- On a node: older versions that an administrator allows, each once.
CREATE TABLE downgrades (
    tenant TEXT NOT NULL,
    catalog TEXT NOT NULL,
    item TEXT NOT NULL,
    label TEXT NOT NULL,
    actor TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (tenant, catalog, item, label)
);
