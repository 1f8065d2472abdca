//! SHELL: gates, plan, denylist, outbox, providers.
