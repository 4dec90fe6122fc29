-- What is told to others of the registry: a queue that every endpoint reads at a pace of its own. The upkeep removes the
-- oldest events.
CREATE TABLE event (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    repository TEXT NOT NULL,
    media_type TEXT NOT NULL,
    document TEXT NOT NULL
);

-- `delivered`: up to where it was told, or need not be. `lost`: events that went before it could be told.
CREATE TABLE event_endpoint (
    name TEXT NOT NULL PRIMARY KEY,
    delivered BIGINT NOT NULL,
    lost BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    failure TEXT
);

-- What it is told once more.
CREATE TABLE event_redelivery (
    endpoint TEXT NOT NULL REFERENCES event_endpoint (name) ON DELETE CASCADE,
    event BIGINT NOT NULL,
    PRIMARY KEY (endpoint, event)
);
