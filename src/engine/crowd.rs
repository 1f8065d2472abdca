//! How many people come to a network from elsewhere, and how many are at home there.
//!
//! In: believed uses. Out: what detectors compare, changed stores.
//! Does not know: rules. Networks of servers, and those that people hide behind, are nobody's home.

use super::Engine;
use super::blame::Blame;
use super::prepare::Prepared;
use crate::detectors::OriginCounts;
use crate::domain::context::{Context, NetworkKind};
use crate::domain::time::Time;
use crate::domain::token::Token;
use crate::domain::usage::TokenUse;
use crate::sessions::device::same_network;
use crate::sessions::session::Session;

impl Engine {
    /// Counts a believed use from elsewhere than its session began, and adds what is usual where it comes to.
    pub(super) fn count_crowd(
        &mut self,
        prepared: &Prepared<'_>,
        token: &Token,
        context: &Context,
        counts: &mut OriginCounts,
    ) {
        let time = prepared.event.time;
        self.state.stores.networks.come_to(time);
        let session = self.state.stores.sessions.get(token.session);
        let Some(session) = session.filter(|session| comes_from_elsewhere(session, context)) else {
            return;
        };
        let arrives = session.visit(prepared.context_key).is_none();
        let network = self.network_key(token, context);
        let networks = &mut self.state.stores.networks;
        if let Some(subject) = token.subject.filter(|_| arrives) {
            networks.arrives(network, subject, time);
        }
        counts.crowd = networks.crowd(network, time);
        counts.residents = networks.residents(network, time);
    }

    /// Learns where people are at home, from the first use of a session in a context that nothing is strange about.
    pub(super) fn learn_home(&mut self, usage: &TokenUse<'_>) {
        let (here, time) = (&**usage.context, usage.event.time);
        let Some((id, network)) = usage.token.subject.zip(here.network.as_ref()) else {
            return;
        };
        let subject = self.state.stores.subjects.get(id);
        let known =
            subject.is_some_and(|s| s.is_mature(time) && s.familiar_network(network.asn, time));
        if known && network.kind != NetworkKind::Hosting && !network.kind.moves_by_nature() {
            let key = self.network_key(usage.token, here);
            self.state.stores.networks.at_home(key, id, time);
        }
    }

    /// One side of a session is suspected: its uses are looked at one by one, and its network teaches nothing today.
    pub(super) fn suspect(&mut self, token: &Token, blame: &Blame, time: Time) {
        if let Some(session) = self.state.stores.sessions.get_mut(token.session) {
            session.suspect(blame.suspect_key);
        }
        let network = self.network_key(token, &blame.suspect);
        self.state.stores.networks.suspect(network, time);
    }

    /// A network as the users of one issuer know it.
    fn network_key(&self, token: &Token, context: &Context) -> u128 {
        let issuer = token.issuer.as_deref().unwrap_or_default();
        let prefix = context.prefix().to_string();
        let parts = [issuer.as_bytes(), prefix.as_bytes()];
        self.settings.key.hash("network", &parts)
    }
}

/// True when the session began in other networks than this one.
fn comes_from_elsewhere(session: &Session, here: &Context) -> bool {
    let mut bound = session.bound().peekable();
    bound.peek().is_some() && bound.all(|visit| same_network(&visit.context, here) == Some(false))
}
