//! SHELL: gates, plan, denylist, outbox, providers.

pub mod breaker;
pub mod case;
pub mod denylist;
pub mod dispatch;
pub mod plan;
pub mod providers;
