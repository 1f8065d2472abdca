//! SHELL: gates, plan, storms of incidents, denylist and its copies, outbox, providers.

pub mod breaker;
pub mod case;
pub mod changes;
pub mod denylist;
pub mod dispatch;
pub mod mirrors;
mod pace;
pub mod plan;
pub mod providers;
pub mod storm;
