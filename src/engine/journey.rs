//! Where the sessions of an incident were used, as far as the stores remember.
//!
//! In: an [`Incident`]. Out: its [`Stop`]s.
//! Does not know: how they are shown. Where no session is at stake, as with refused forgeries, the suspect's addresses
//! are looked up: it has a place, too.

use super::Engine;
use crate::domain::context::Context;
use crate::domain::incident::Incident;
use crate::domain::journey::Stop;
use crate::incidents::journey::{Seen, journey};
use crate::sessions::session::{Session, Visit};

impl Engine {
    /// The stops of an incident, oldest first.
    pub fn journey(&self, incident: &Incident) -> Vec<Stop> {
        let sessions = &self.state.stores.sessions;
        let known = (incident.sessions.iter()).filter_map(|id| Some((*id, sessions.get(*id)?)));
        let visits: Vec<Seen<'_>> = known
            .flat_map(|(id, session): (_, &Session)| {
                session.visits.iter().map(move |visit| seen(id, visit))
            })
            .collect();
        if visits.iter().any(|seen| seen.suspect) {
            return journey(incident, visits.into_iter());
        }
        let senders: Vec<Context> = (incident.suspect.ips.iter())
            .map(|ip| self.surroundings.of_address(*ip))
            .collect();
        let alone = senders.len() == 1;
        let refused = incident.suspect.requests * u64::from(alone);
        let senders = senders.iter().map(|context| Seen {
            session: None,
            context,
            span: (incident.suspect.first_seen, incident.suspect.last_seen),
            suspect: true,
            uses: (0, refused, 0),
            bytes: 0,
        });
        journey(incident, visits.into_iter().chain(senders))
    }
}

fn seen(id: crate::domain::ids::SessionId, visit: &Visit) -> Seen<'_> {
    Seen {
        session: Some(id),
        context: &visit.context,
        span: (visit.first, visit.last),
        suspect: visit.suspect,
        uses: (
            visit.accepted.into(),
            visit.refused.into(),
            visit.writes.into(),
        ),
        bytes: visit.bytes,
    }
}
