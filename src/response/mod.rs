//! SHELL: gates, plan, denylist, outbox, providers.

pub mod denylist;
