//! Packs the tables that ship in the binary, or a user's own, from published sources.
//!
//! In: bytes of MaxMind databases and texts of range lists. Out: bytes of packed tables
//! ([`super::tables`]).
//! Does not know: files, or vendors beyond what a database says about itself.

mod leaves;
mod networks;
mod places;

pub use networks::{List, Lists, networks};
pub use places::{Family, places};

use crate::domain::time::Time;

/// Where a table comes from and under which terms, as its header will say.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Who made the source.
    pub source: &'a str,
    /// The licence, with the attribution it asks for.
    pub licence: &'a str,
    /// When the source was built; `None` takes the date a database has of itself.
    pub built: Option<Time>,
}
