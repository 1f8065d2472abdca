//! What the tests share.

pub(crate) mod keycloak;
#[allow(dead_code, reason = "no test needs all of it")]
pub(crate) mod mint;
