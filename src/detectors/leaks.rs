//! Leaks: tokens where others can read them, and what happened to them afterwards.
//!
//! In: where the token stands in this request, and whether it was readable before. Out: `leak.url`, `leak.referer`,
//! `leak.used_after`, `leak.raw_in_log`.
//! Does not know: who read it.
//! Source: RFC 6750, section 5.3 (do not pass bearer tokens in page URLs); RFC 9700, section 4.3.2.

use super::{Detector, Look};
use crate::domain::facts::{Fact, Facts};
use crate::domain::token::{CredentialPlace, Form};
use crate::sessions::device::one_device;

pub(super) static DETECTOR: Detector = Detector {
    name: "leaks",
    facts: &[
        Fact::LeakUrl,
        Fact::LeakReferer,
        Fact::LeakUsedAfter,
        Fact::LeakRawInLog,
    ],
    measure,
};

fn measure(look: &Look<'_>, facts: &mut Facts) {
    let place = look.usage.place;
    let in_url = matches!(place, CredentialPlace::Query | CredentialPlace::Path);
    facts.flag(Fact::LeakUrl, in_url);
    facts.flag(Fact::LeakReferer, place == CredentialPlace::Referer);
    // A token that nobody signed is no use to who reads it.
    let token = look.usage.token;
    let raw = token.form == Form::Raw && !token.header.alg_none;
    facts.flag(Fact::LeakRawInLog, raw);
    let Some(leaked) = look.entry.leaked.as_ref().map(|leak| leak.time) else {
        return;
    };
    let Some(session) = look.changed_session() else {
        return;
    };
    let here = look.usage.context;
    // Everywhere the session was before the leak is its holder's; what came after may be the finder's.
    let own = session
        .visits
        .iter()
        .filter(|visit| visit.first <= leaked)
        .any(|visit| visit.key == look.key || one_device(&visit.context, here));
    let after = look.usage.event.time > leaked && place.presents();
    facts.flag(Fact::LeakUsedAfter, after && look.standing.accepted && !own);
}
