//! Exceptions: what an installation knows about its own people and machines, so that nobody is told of it.
//!
//! In: who, where, with what and when; a rule that holds. Out: [`Exception`], and whether it explains the finding.
//! Does not know: what was measured. What is excepted is counted, not hidden.

use super::rule::Rule;
use crate::domain::context::Context;
use crate::domain::finding::Dimension;
use crate::domain::time::Time;
use crate::domain::usage::View;
use glob::{MatchOptions, Pattern};
use ipnet::IpNet;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use std::net::IpAddr;
use std::sync::Arc;

/// Programs and places are called by names that people type.
const ANY_CASE: MatchOptions = MatchOptions {
    case_sensitive: false,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// Findings that are explained. What is empty fits everything; everything that is given has to fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exception {
    /// What it is called in counts.
    pub name: Arc<str>,
    /// Rules that it excepts. None: all but proofs of theft, which nothing explains that does not name them.
    pub rules: Vec<Pattern>,
    /// Dimensions that it excepts. None: all.
    pub dimensions: Vec<Dimension>,
    /// `sub` claims.
    pub subjects: Vec<Pattern>,
    /// Names of programs, or whole user agents.
    pub clients: Vec<Pattern>,
    /// Whose network.
    pub networks: Vec<Net>,
    /// Countries by their codes, and places by their names.
    pub places: Vec<Pattern>,
    /// When.
    pub times: Times,
}

/// Whom a finding is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parties<'a> {
    /// The `sub` claim, where the finding names it: what is only claimed excuses nobody.
    pub subject: Option<&'a str>,
    /// The side that does not belong; `None` for a request without a token.
    pub suspect: Option<&'a Context>,
}

/// Addresses of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// By prefix.
    Prefix(IpNet),
    /// By number of the autonomous system.
    Asn(u32),
}

/// Event times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// From this moment on.
    pub from: Option<Time>,
    /// Before this moment.
    pub until: Option<Time>,
    /// Days of the week. None: all.
    pub days: Vec<Weekday>,
    /// Minutes of the day, from the first and before the second; over midnight when the second is not later.
    pub minutes: Option<(u16, u16)>,
    /// The zone of days and minutes; UTC when none is given.
    pub zone: Option<TimeZone>,
}

impl Exception {
    /// A journey that was announced: it explains where its subject is and nothing else, for a thief can travel, too.
    pub fn journey(subject: Pattern, to: Vec<Pattern>, times: Times) -> Self {
        // Counts are shown where names are not.
        let names: Vec<&str> = to.iter().map(Pattern::as_str).collect();
        Self {
            name: format!("travel to {}", names.join(", ")).into(),
            dimensions: vec![Dimension::Place, Dimension::Network, Dimension::Habit],
            subjects: vec![subject],
            places: to,
            times,
            ..Self::default()
        }
    }

    /// True when the rule's finding about a view is explained.
    pub fn explains(&self, rule: &Rule, view: &View<'_>, parties: Parties<'_>) -> bool {
        let Parties { subject, suspect } = parties;
        let subject = || subject.is_some_and(|sub| fits(&self.subjects, sub, MatchOptions::new()));
        self.is_about(rule)
            && self.times.hold(view.event.time)
            && (self.subjects.is_empty() || subject())
            && (self.clients.is_empty() || self.fits_client(view, suspect))
            && (self.networks.is_empty() || self.fits_network(view, suspect))
            && (self.places.is_empty() || suspect.is_some_and(|suspect| self.fits_place(suspect)))
    }

    /// True when its findings can be excepted.
    pub fn is_about(&self, rule: &Rule) -> bool {
        let named = self.rules.iter().any(|pattern| pattern.matches(&rule.name));
        let all = self.rules.is_empty() && rule.dimension != Dimension::Theft;
        (named || all) && (self.dimensions.is_empty() || self.dimensions.contains(&rule.dimension))
    }

    fn fits_client(&self, view: &View<'_>, suspect: Option<&Context>) -> bool {
        let program = suspect.and_then(|suspect| suspect.client.as_ref());
        let own = suspect.is_none_or(|suspect| view.event.client == Some(suspect.address.ip()));
        let agent = view.event.user_agent.as_deref().filter(|_| own);
        let names = [program.map(|program| &*program.name), agent];
        let mut names = names.into_iter().flatten();
        names.any(|name| fits(&self.clients, name, ANY_CASE))
    }

    fn fits_network(&self, view: &View<'_>, suspect: Option<&Context>) -> bool {
        let address = suspect
            .map(|suspect| suspect.address.ip())
            .or(view.event.client);
        let asn = suspect.and_then(|suspect| suspect.network.as_ref());
        self.networks.iter().any(|network| match network {
            Net::Prefix(prefix) => address.is_some_and(|address| holds(prefix, address)),
            Net::Asn(number) => asn.is_some_and(|network| network.asn == *number),
        })
    }

    fn fits_place(&self, suspect: &Context) -> bool {
        suspect.place.as_ref().is_some_and(|place| {
            let named = place.name.as_deref();
            fits(&self.places, place.country.as_str(), ANY_CASE)
                || named.is_some_and(|name| fits(&self.places, name, ANY_CASE))
        })
    }
}

impl Times {
    fn hold(&self, time: Time) -> bool {
        if self.from.is_some_and(|from| time < from)
            || self.until.is_some_and(|until| time >= until)
        {
            return false;
        }
        if self.days.is_empty() && self.minutes.is_none() {
            return true;
        }
        let Ok(timestamp) = jiff::Timestamp::from_millisecond(time.as_ms()) else {
            return false;
        };
        let here = match &self.zone {
            Some(zone) => zone.to_datetime(timestamp),
            None => TimeZone::UTC.to_datetime(timestamp),
        };
        let minute = here.hour() as u16 * 60 + here.minute() as u16;
        let in_hours = self.minutes.is_none_or(|(from, to)| match from < to {
            true => (from..to).contains(&minute),
            false => minute >= from || minute < to,
        });
        in_hours && (self.days.is_empty() || self.days.contains(&here.weekday()))
    }
}

fn fits(patterns: &[Pattern], text: &str, how: MatchOptions) -> bool {
    patterns
        .iter()
        .any(|pattern| pattern.matches_with(text, how))
}

fn holds(prefix: &IpNet, address: IpAddr) -> bool {
    prefix.contains(&address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        let timestamp: jiff::Timestamp = text.parse().unwrap();
        Time::from_ms(timestamp.as_millisecond()).unwrap()
    }

    #[test]
    fn hours_go_over_midnight_in_their_own_zone_and_days_are_those_of_the_zone() {
        let night = Times {
            minutes: Some((22 * 60, 6 * 60)),
            days: vec![Weekday::Saturday],
            zone: Some(TimeZone::fixed(jiff::tz::offset(2))),
            ..Times::default()
        };
        // 2 May 2026 is a Saturday.
        assert!(night.hold(at("2026-05-02T20:30:00Z")), "22:30 there");
        assert!(night.hold(at("2026-05-01T23:00:00Z")), "1:00 there");
        assert!(!night.hold(at("2026-05-02T19:30:00Z")), "21:30 there");
        assert!(!night.hold(at("2026-05-02T23:00:00Z")), "Sunday there");
    }

    #[test]
    fn a_span_holds_its_first_moment_and_not_its_last() {
        let span = Times {
            from: Some(at("2026-05-04T00:00:00Z")),
            until: Some(at("2026-05-09T00:00:00Z")),
            ..Times::default()
        };
        assert!(span.hold(at("2026-05-04T00:00:00Z")) && span.hold(at("2026-05-08T23:59:59Z")));
        assert!(!span.hold(at("2026-05-09T00:00:00Z")) && !span.hold(at("2026-05-03T23:59:59Z")));
        assert!(Times::default().hold(Time::default()));
    }
}
