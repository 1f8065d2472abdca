//! Novelty: what was never seen on this subject, and how much is known of it.
//!
//! In: the subject before this use. Out: `novel.place`, `novel.network`, `novel.client`, `novel.address`,
//! `subject.known_days`, `subject.known_sessions`.
//! Does not know: how much must be known before novelty says anything (rules ask for maturity).

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::sessions::device::places_apart;
use crate::sessions::habits::Seen;
use crate::sessions::subject::{Known, Program};

pub(super) static DETECTOR: Detector = Detector {
    name: "novelty",
    facts: &[
        Fact::NovelPlace,
        Fact::NovelNetwork,
        Fact::NovelClient,
        Fact::NovelAddress,
        Fact::SubjectKnownDays,
        Fact::SubjectKnownSessions,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let Some(subject) = look.subject.filter(|_| !look.repeats) else {
        return;
    };
    let context = look.usage.context;
    let days = look.usage.event.time.since_s(subject.first_seen) / 86_400.0;
    facts.set(Fact::SubjectKnownDays, days.max(0.0));
    facts.set(Fact::SubjectKnownSessions, f64::from(subject.sessions));
    if let Some(place) = context.reference_place() {
        let known = subject
            .places
            .iter()
            .any(|known| !places_apart(&known.what, place));
        facts.flag(Fact::NovelPlace, !known && !subject.places.is_empty());
    }
    if let Some(network) = context
        .network
        .as_ref()
        .filter(|n| !n.kind.moves_by_nature())
    {
        let known = subject
            .networks
            .iter()
            .any(|known| known.what == network.asn);
        facts.flag(Fact::NovelNetwork, !known && !subject.networks.is_empty());
    }
    if let Some(client) = &context.client {
        let same =
            |known: &Known<Program>| known.what.0 == client.name && known.what.1 == client.os;
        let known = subject.clients.iter().any(same);
        facts.flag(Fact::NovelClient, !known && !subject.clients.is_empty());
    }
    // A provider's network is a whole town's, so that it is known says little of a line in it.
    let seen = Seen::of(context, None);
    let known = subject.habits.knows_address(seen, look.usage.event.time);
    facts.flag(Fact::NovelAddress, known == Some(false));
}
