//! What waits while somebody sends forged tokens in great numbers, so that nobody else has to.
//!
//! In: a credential that nothing is known of, the gateway's answer, how many forged tokens came from its network and
//! from all of them. Out: whether it is looked at now: that depends on earlier lines alone, so a replay does the same.
//! Does not know: load. A signature costs a hundred times what a line costs, whoever sends it and however idle we are.
//! Source: RFC 8725, section 2.7 (work that an attacker can ask for).

use super::{Engine, prepare};
use crate::domain::context::Prefix;
use crate::domain::event::{EventKind, Intent};
use crate::domain::facts::Fact;
use crate::domain::ids::Digest;
use crate::domain::time::Time;

/// Forged tokens of one network in ten minutes that are checked, each. Five times what the rule for bursts asks for; a
/// rule that asks for more gets what it asks for.
pub(super) const FORGED_EACH_MAX: u32 = 100;

/// So many of all networks together are a flood from many: each is then checked as far as rules ask, so that
/// each is found out, and no further.
const FORGED_MANY: u32 = 2_000;

/// Beyond these of all networks together, no more are checked: 2 s of one core in ten minutes, at the 0.1 ms of the
/// slowest algorithm.
const FORGED_ALL_MAX: u32 = 20_000;

/// Counters that only stand still while uses are deferred, when no rule asks for more.
const COUNTED: [Fact; 3] = [
    Fact::SourceBadSignatures10m,
    Fact::SourceRejected10m,
    Fact::SourceBadTokenSubjects10m,
];

impl Engine {
    /// True when a use waits: nobody has shown its token before, the gateway did not let it in, and its network, or all
    /// of them together, sent more forged tokens than are checked. Nothing is concluded from such a use, neither that
    /// it was genuine nor that it was forged: the token is looked at as soon as it is let in anywhere, or the flood is
    /// over.
    pub(super) fn defers(&mut self, prepared: &prepare::Prepared<'_>, digest: Digest) -> bool {
        let event = &prepared.event;
        let time = event.time;
        let Some(client) = event.client else {
            return false;
        };
        let network = Prefix::of(client);
        let all = self.state.forged.count(time) >= FORGED_ALL_MAX;
        self.waiting.set_all(all);
        if !self.is_flooded(network, time) {
            self.waiting.of(event).remove(network);
            if self.state.forged.count(time) < FORGED_EACH_MAX {
                self.waiting.clear();
            }
            return false;
        }
        let waits =
            event.kind != EventKind::Asked && !self.knows(digest) && !self.lets_in(prepared);
        if waits {
            self.state.health.deferred();
            self.waiting.of(event).add(network);
        }
        waits
    }

    fn is_flooded(&self, prefix: Prefix, time: Time) -> bool {
        let all = self.state.forged.count(time);
        let each = match all {
            ..FORGED_EACH_MAX => return false,
            FORGED_ALL_MAX.. => return true,
            FORGED_MANY.. => 1,
            _ => FORGED_EACH_MAX,
        };
        let origin = self.state.stores.claimants.get(prefix);
        let odd = origin.and_then(|origin| origin.odd());
        odd.is_some_and(|odd| f64::from(odd.forged.count(time)) >= self.or_as_asked(each))
    }

    /// What is checked of one network: as many as this, or as the rule that asks for most.
    pub(super) fn or_as_asked(&self, each: u32) -> f64 {
        let asked = COUNTED.iter().flat_map(|fact| self.rules.thresholds(*fact));
        asked.fold(f64::from(each), |most, asked| most.max(*asked))
    }

    fn knows(&self, digest: Digest) -> bool {
        let stores = &self.state.stores;
        stores.tokens.get(digest).is_some() || stores.claimed.get(digest).is_some()
    }

    /// True when the answer may be one to the token. A path that is open to everybody says nothing of it.
    fn lets_in(&self, prepared: &prepare::Prepared<'_>) -> bool {
        let event = &prepared.event;
        let open = || {
            let key = prepare::path_key(&self.settings.key, event);
            key.is_some_and(|key| self.state.stores.open_paths.get(key).is_some())
        };
        event.succeeded() && event.intent() != Intent::Options && !open()
    }
}
