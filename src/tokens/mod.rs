//! CORE: from the fields of an event to a token that is named, decoded and judged.
//!
//! In: [`AccessEvent`](crate::domain::event::AccessEvent), key sets. Out:
//! [`Credentials`](crate::domain::token::Credentials), [`Token`](crate::domain::token::Token),
//! [`Verdict`](crate::domain::token::Verdict).
//! Does not know: where key sets come from (see [`crate::issuers`]), sessions, or what is
//! suspicious.

mod base64;
mod claims;
pub mod decode;
mod header;
pub mod keys;
pub mod locate;
mod pairs;
pub mod possession;
pub mod scrub;
mod told;
pub mod verify;

/// Tokens signed with the published test keys, for the tests of any module.
#[cfg(test)]
#[path = "../../tests/support/mint.rs"]
pub(crate) mod mint;
