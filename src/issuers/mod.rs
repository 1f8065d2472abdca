//! SHELL: key sets of the configured issuers, fetched from files and URLs and kept fresh.
//!
//! In: [`KeySource`]s of the configuration. Out: [`FetchedKeys`], one after the other.
//! Does not know: tokens. Nothing is ever fetched from an address that stands in a token (`jku`,
//! `x5u`, `iss`).
//! Source: RFC 7517, section 5; RFC 9111, section 5.2.2.1 (`max-age`).

mod fetch;
mod refresh;

pub use fetch::{FetchFault, FetchedKeys, Fetcher, KeySource, Location};
pub use refresh::{KeyRequests, Pace, Refresher};

#[cfg(test)]
mod tests;
