//! What tokens have in common, kept once.
//!
//! In: decoded tokens. Out: the same, sharing their [`Common`] with those before them.
//! Does not know: what is in it. Nothing depends on it but memory, so it is no part of a snapshot.

use crate::domain::token::{Common, Token};
use hashbrown::HashSet;
use std::sync::Arc;

/// Kept at a time: a gateway trusts a handful of issuers with some dozens of clients. Beyond that a flood of invented
/// ones would fill memory; then sharing begins anew.
const COMMONS_MAX: usize = 1024;

/// What tokens so far have in common. Senders choose what is in it, so the hash is seeded at random.
#[derive(Debug, Default)]
pub struct Commons(HashSet<Arc<Common>, foldhash::quality::RandomState>);

impl Commons {
    /// Makes a token share what another before it had too.
    pub fn share(&mut self, token: &mut Token) {
        if let Some(known) = self.0.get(&token.common) {
            token.common = Arc::clone(known);
            return;
        }
        if self.0.len() == COMMONS_MAX {
            self.0.clear();
        }
        self.0.insert(Arc::clone(&token.common));
    }
}
