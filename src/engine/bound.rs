//! What requests show of the keys that tokens are bound to.
//!
//! In: a credential, its token, the request. Out: whether the two fit, and what was seen before of session and host.
//! Does not know: what a misfit means.
//! Source: RFC 7800 (`cnf`), RFC 9449 (DPoP), RFC 8705 (mutual TLS).

use super::Engine;
use super::prepare::Prepared;
use super::standing::Presented;
use crate::domain::possession::Fits;
use crate::domain::token::{Credential, Token};
use crate::sessions::bindings::Seen;
use crate::tokens::possession::fits;

impl Engine {
    /// A credential as it is presented, with what the request shows of the key that its token is bound to.
    pub(super) fn shown(
        &self,
        credential: &Credential<'_>,
        token: &Token,
        prepared: &Prepared<'_>,
    ) -> Presented {
        let bound = token.confirmation.as_deref();
        let key = &self.settings.key;
        Presented {
            fits: bound.map(|bound| fits(credential, bound, &prepared.event, key)),
            ..credential.into()
        }
    }

    /// Records what a believed use showed of its token's key.
    pub(super) fn show_binding(
        &mut self,
        token: &Token,
        fits: Option<Fits>,
        prepared: &Prepared<'_>,
    ) {
        let Some(fits) = fits else { return };
        let host = self.binding_host(token, prepared);
        let bindings = &mut self.state.stores.bindings;
        bindings.show(host, token.session, &fits, prepared.context_key);
    }

    /// What a request shows of its token's key, with what was seen before.
    pub(super) fn binding(
        &self,
        token: &Token,
        fits: Option<Fits>,
        prepared: &Prepared<'_>,
    ) -> Option<(Fits, Seen)> {
        let fits = fits?;
        let host = self.binding_host(token, prepared);
        let bindings = &self.state.stores.bindings;
        let seen = bindings.seen(host, token.session, &fits, prepared.context_key);
        Some((fits, seen))
    }

    /// Keyed digest of an issuer at a host.
    fn binding_host(&self, token: &Token, prepared: &Prepared<'_>) -> u64 {
        let issuer = token.issuer.as_deref().unwrap_or_default();
        let host = prepared.event.host.as_deref().unwrap_or_default();
        let parts = [issuer, host].join("\u{0}");
        self.settings.key.short_digest_of(parts.as_bytes())
    }
}
