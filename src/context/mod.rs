//! CORE: where a use came from and what made it: places, networks and clients of addresses and user
//! agents.
//!
//! In: an [`AccessEvent`](crate::domain::event::AccessEvent). Out: its
//! [`Context`](crate::domain::context::Context).
//! Does not know: sessions, or what is suspicious.

pub mod build;
mod client_kinds;
pub mod clients;
mod expressions;
mod kinds;
pub mod language;
mod recent;
mod shared;
mod surroundings;
pub mod tables;

pub use kinds::Class;
pub use surroundings::Surroundings;
