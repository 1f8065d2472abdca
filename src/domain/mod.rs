//! The nouns: what flows along the line, from bytes to incidents. Imports nothing from the crate.

pub mod action;
pub mod breach;
pub mod bytes;
pub mod clock;
pub mod context;
pub mod event;
pub mod facts;
pub mod few;
pub mod finding;
pub mod ids;
pub mod incident;
pub mod journey;
pub mod line;
pub mod mask;
pub mod mistake;
pub mod possession;
pub mod presentation;
pub mod scrubbed;
pub mod sighting;
pub mod time;
pub mod token;
pub mod usage;
