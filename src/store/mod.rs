//! SHELL: SQLite: incidents, outbox, audit.
