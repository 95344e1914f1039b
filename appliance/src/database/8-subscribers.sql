-- What those who subscribe to a catalog compare: how often what it offers has changed, how often another version of an item came to be
-- the current one, and how often the item was described.
ALTER TABLE catalogs ADD COLUMN offered BIGINT NOT NULL DEFAULT 1;

ALTER TABLE items ADD COLUMN content BIGINT NOT NULL DEFAULT 1;

ALTER TABLE items ADD COLUMN described BIGINT NOT NULL DEFAULT 1;
