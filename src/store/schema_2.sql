-- Version 2: security event tokens that wait to be polled (RFC 8936).

CREATE TABLE sets (
    stream TEXT NOT NULL,                   -- the provider's name in the configuration
    jti    TEXT NOT NULL,
    text   TEXT NOT NULL,                   -- signed; gone when it is acknowledged or too old
    at_ms  INTEGER NOT NULL,
    PRIMARY KEY (stream, jti)
) STRICT;
