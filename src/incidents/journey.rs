//! Where the sessions of an incident were used.
//!
//! In: an [`Incident`] and what the session store remembers ([`Seen`]). Out: [`Stop`]s, oldest first.
//! Does not know: stores, maps.

use super::sides::{client_words, network_words};
use crate::domain::context::Context;
use crate::domain::ids::SessionId;
use crate::domain::incident::Incident;
use crate::domain::journey::{Point, Stop, StopSide};
use crate::domain::time::Time;

/// Stops of one incident: more lanes than this nobody reads. Suspects come first when there are more.
const STOPS_MAX: usize = 60;

/// A context of a session, and what was done from it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The session; `None` where tokens were refused.
    pub session: Option<SessionId>,
    /// The context.
    pub context: &'a Context,
    /// Event time of the first use and of the last.
    pub span: (Time, Time),
    /// A finding named it.
    pub suspect: bool,
    /// Accepted uses, refused ones, those that wrote.
    pub uses: (u64, u64, u64),
    /// Response bytes.
    pub bytes: u64,
}

/// The stops of an incident.
pub fn journey<'a>(incident: &Incident, seen: impl Iterator<Item = Seen<'a>>) -> Vec<Stop> {
    let mut stops: Vec<Stop> = seen.map(|one| stop(incident, one)).collect();
    stops.sort_by_key(|stop| (stop.side != StopSide::Suspect, stop.first));
    stops.truncate(STOPS_MAX);
    stops.sort_by_key(|stop| (stop.first, stop.side));
    stops
}

fn stop(incident: &Incident, seen: Seen<'_>) -> Stop {
    let context = seen.context;
    let network = network_words(context);
    let named = incident.suspect.ips.contains(&context.address.ip())
        || incident.suspect.networks.contains(&network);
    Stop {
        side: match (seen.suspect, named) {
            (false, _) => StopSide::Holder,
            (true, true) => StopSide::Suspect,
            (true, false) => StopSide::Other,
        },
        session: seen.session,
        first: seen.span.0,
        last: seen.span.1,
        ip: context.address.ip(),
        network,
        kind: context.network_kind(),
        client: match &context.client {
            Some(client) => Some(client_words(client)),
            // An address that was looked up by itself: the sender's program is the incident's.
            None if seen.session.is_none() => incident.suspect.clients.first().cloned(),
            None => None,
        },
        place: Point::of(context),
        uses: seen.uses.0,
        refused: seen.uses.1,
        writes: seen.uses.2,
        bytes: seen.bytes,
    }
}
