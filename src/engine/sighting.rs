//! What other nodes of a fleet saw, as a use here.
//!
//! In: [`Sighting`]. Out: the same as of a line that shows the token.
//! Does not know: how sightings travel.

use super::prepare::Prepared;
use super::standing::Presented;
use super::{Engine, Observation};
use crate::detectors::PathClass;
use crate::domain::event::AccessEvent;
use crate::domain::ids::Digest;
use crate::domain::line::{RawLine, Source};
use crate::domain::sighting::Sighting;
use crate::domain::token::{CredentialPlace, Provenance};
use crate::sessions::session::ContextKey;
use crate::sessions::token::TokenEntry;
use std::sync::Arc;

/// The name that evidence from another node bears.
const SIGHTING_SOURCE: &str = "sighting";

impl Engine {
    /// What another node saw counts as a use here, in the same stores and before the same rules.
    pub(super) fn sighting(&mut self, sighting: &Sighting, out: &mut Observation) {
        let source = Source(SIGHTING_SOURCE.into());
        let line = RawLine {
            source: &source,
            offset_bytes: 0,
            number: 0,
            text: "",
            truncated: false,
            written: None,
        };
        let prepared = Prepared {
            event: AccessEvent {
                time: sighting.time,
                client: Some(sighting.context.address.ip()),
                status: 200,
                ..AccessEvent::default()
            },
            context_key: ContextKey(sighting.context_key),
            path: PathClass {
                protected: sighting.provenance >= Provenance::Accepted,
                ..PathClass::default()
            },
            ..Prepared::blank(line)
        };
        let digest = Digest(sighting.token.id.get());
        let known = self.state.stores.tokens.get_mut(digest).cloned();
        let whole = known.as_ref().and_then(|entry| entry.whole().cloned());
        let token = whole.unwrap_or_else(|| Arc::new(sighting.token.clone()));
        let mut entry = known.unwrap_or_else(|| TokenEntry::new(&token));
        entry.verdict = sighting.verdict;
        entry.keys_version = self.state.keys_version;
        let presented = Presented {
            digest,
            place: CredentialPlace::Field,
            fits: None,
        };
        self.presented(
            &prepared,
            presented,
            (&token, entry),
            &sighting.context,
            out,
        );
    }
}
