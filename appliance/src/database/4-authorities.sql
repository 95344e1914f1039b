-- On the server: the keys of its authority, each NEXT, CURRENT or FORMER, of which there is one at most. `private` is the key
-- in PEM, and gone with a former one.
CREATE TABLE authorities (
    key TEXT PRIMARY KEY,
    state TEXT NOT NULL UNIQUE,
    private TEXT,
    certificate TEXT NOT NULL,
    created BIGINT NOT NULL
);

-- Whose key signed it.
ALTER TABLE certificates ADD COLUMN authority TEXT NOT NULL DEFAULT '';

-- The last that the node told of the keys that are to follow.
ALTER TABLE nodes ADD COLUMN knows TEXT NOT NULL DEFAULT '';
