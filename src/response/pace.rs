//! How often, and how many at once: no receiver is called faster than it may be, and none takes the room of the others.
//!
//! In: a receiver's name, the moment. Out: [`Permit`]s, to be held while an attempt is under way.
//! Does not know: what is delivered, or what came of it.
//! Source: the generic cell rate algorithm, a token bucket that needs one number (ITU-T I.371, annex A.2).

use crate::domain::time::Time;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Attempts at one receiver at once: eight that never answer leave room for others.
const AT_ONCE_MAX: usize = 4;

/// One call in so long: the strictest limit on the management of users that a vendor publishes is Okta's, with 600 a
/// minute for all its callers; this leaves half of it to people.
const INTERVAL_MS: i64 = 200;

/// Calls that need not keep that distance: what follows from two or three thefts at once.
const BURST: i64 = 16;

/// One attempt's place; it ends with it, whatever becomes of it.
#[derive(Debug)]
pub(super) struct Permit(#[allow(dead_code, reason = "counted, not read")] Arc<()>);

/// Every receiver that was called, of which there are as many as the configuration names.
#[derive(Debug, Default)]
pub(super) struct Paces(HashMap<String, Pace>);

#[derive(Debug, Default)]
struct Pace {
    /// When its bucket is full again.
    full: Time,
    /// As often as there are attempts under way, and once here.
    under_way: Arc<()>,
}

impl Paces {
    /// A place for one more attempt; `None` when there is none at the moment.
    pub(super) fn take(&mut self, receiver: &str, now: Time) -> Option<Permit> {
        let pace = match self.0.get_mut(receiver) {
            Some(pace) => pace,
            None => self.0.entry(receiver.to_owned()).or_default(),
        };
        if Arc::strong_count(&pace.under_way) > AT_ONCE_MAX || pace.wait_ms(now) > 0 {
            return None;
        }
        pace.full = pace.full.max(now).plus_ms(INTERVAL_MS);
        Some(Permit(Arc::clone(&pace.under_way)))
    }

    /// How long until a receiver may be called again that was called too often; none when there is no such.
    pub(super) fn wait(&self, now: Time) -> Option<Duration> {
        let waits = self.0.values().map(|pace| pace.wait_ms(now));
        let ms = waits.filter(|ms| *ms > 0).min()?;
        u64::try_from(ms).ok().map(Duration::from_millis)
    }
}

impl Pace {
    fn wait_ms(&self, now: Time) -> i64 {
        self.full.as_ms() - now.as_ms() - (BURST - 1) * INTERVAL_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_gets_its_burst_and_then_one_call_an_interval() {
        let mut paces = Paces::default();
        let at = |ms: i64| Time::default().plus_ms(1_000_000 + ms);
        let mut calls = |ms| {
            let taken = std::iter::from_fn(|| paces.take("idp", at(ms)));
            let calls = taken.take(1000).count();
            (calls, paces.wait(at(ms)).map(|wait| wait.as_millis()))
        };
        assert_eq!(calls(0), (16, Some(200)));
        assert_eq!(calls(100), (0, Some(100)));
        assert_eq!(calls(200), (1, Some(200)));
        assert_eq!(calls(10_000), (16, Some(200)));
        assert!(paces.take("other", at(10_000)).is_some());
    }

    #[test]
    fn one_that_does_not_answer_keeps_its_four_places_and_no_more() {
        let mut paces = Paces::default();
        let now = Time::default();
        let mut held: Vec<Permit> = (0..4).filter_map(|_| paces.take("slow", now)).collect();
        assert_eq!(held.len(), 4);
        assert!(paces.take("slow", now).is_none());
        assert!(paces.take("quick", now).is_some());
        assert_eq!(paces.wait(now), None, "only an answer makes room");
        held.pop();
        assert!(paces.take("slow", now).is_some());
    }
}
