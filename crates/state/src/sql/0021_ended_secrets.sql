-- Secrets of robots and API keys that count no more: who still sends one did not guess it. `owner` is the robot's name
-- or the key's id. The upkeep removes them after some months.
CREATE TABLE ended_secret (
    hash BLOB NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    why TEXT NOT NULL,
    ended_at BIGINT NOT NULL
);
CREATE INDEX ended_secret_ended_at ON ended_secret (ended_at);
