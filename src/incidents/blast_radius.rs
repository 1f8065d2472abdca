//! Step 3: what the suspect touched.
//!
//! In: every use by the suspect. Out: [`BreachStep`] with counts and path templates.
//! Does not know: who the suspect is; the lines themselves (the shell re-reads them for the full
//! report).

use super::SuspectStats;
use super::text::shown;
use crate::domain::breach::{BreachStep, Coverage};
use crate::domain::event::AccessEvent;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Distinct templates kept: an API has some dozens; a scanner makes up the rest.
const TEMPLATES_MAX: usize = 64;
/// Distinct templates kept where the counts of several cases come together, or logs are read again.
pub(super) const TEMPLATES_APART_MAX: usize = 4096;
/// Templates shown.
const TEMPLATES_SHOWN_MAX: usize = 50;
/// Deeper paths are cut: what differs below is an object, not a function.
const SEGMENTS_MAX: usize = 8;
/// A longer segment is no word that a programmer chose.
const WORD_CHARS_MAX: usize = 40;
/// Where paths go that found no room.
const OTHER: &str = "{other}";

/// What was counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Breach {
    pub(super) requests: u64,
    writes: u64,
    bytes: u64,
    denied: u64,
    templates: BTreeMap<String, u64>,
    missing: BTreeSet<Arc<str>>,
}

impl Breach {
    /// Adds what the stores counted before the case was opened.
    pub(super) fn add_earlier(&mut self, stats: &SuspectStats) {
        self.requests = self.requests.saturating_add(stats.requests);
        self.writes = self.writes.saturating_add(stats.writes);
        self.bytes = self.bytes.saturating_add(stats.bytes);
        self.denied = self.denied.saturating_add(stats.denied);
        if stats.requests > 0 {
            self.miss("requests before the first finding are counted without their paths");
        }
        if let Some(reason) = stats.missing {
            self.miss(reason);
        }
    }

    /// Counts one use as it happens.
    pub(super) fn add(&mut self, event: &AccessEvent<'_>) {
        let template = event.path.as_deref().map(|path| templated(path).0);
        self.count(event, template.as_deref(), TEMPLATES_MAX);
    }

    /// Counts one use under a template, of which at most `templates_max` are kept.
    pub(super) fn count(
        &mut self,
        event: &AccessEvent<'_>,
        template: Option<&str>,
        templates_max: usize,
    ) {
        self.requests = self.requests.saturating_add(1);
        self.writes = self.writes.saturating_add(u64::from(event.writes()));
        self.bytes = self.bytes.saturating_add(event.bytes);
        self.denied = self.denied.saturating_add(u64::from(event.refused()));
        match template {
            Some(template) => self.add_template(template, 1, templates_max),
            None => self.miss("some lines have no path"),
        }
    }

    fn add_template(&mut self, template: &str, uses: u64, templates_max: usize) {
        if let Some(count) = self.templates.get_mut(template) {
            *count += uses;
        } else if self.templates.len() < templates_max {
            self.templates.insert(template.to_owned(), uses);
        } else {
            *self.templates.entry(OTHER.to_owned()).or_default() += uses;
            self.miss("too many different paths: the rest stands under {other}");
        }
    }

    /// Says that something is not in the counts.
    pub(super) fn miss(&mut self, reason: &str) {
        if !self.missing.contains(reason) {
            self.missing.insert(reason.into());
        }
    }

    /// Takes in what another case counted, so that at most `templates_max` templates are kept.
    pub(super) fn merge(&mut self, other: &Self, templates_max: usize) {
        self.requests = self.requests.saturating_add(other.requests);
        self.writes = self.writes.saturating_add(other.writes);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.denied = self.denied.saturating_add(other.denied);
        for (template, count) in &other.templates {
            self.add_template(template, *count, templates_max);
        }
        self.missing.extend(other.missing.iter().cloned());
    }

    /// The step, with the other subjects of the suspect: names and how many in all.
    pub(super) fn step(&self, other_subjects: Vec<Arc<str>>, count: u64) -> BreachStep {
        let mut paths: Vec<_> = self.templates.clone().into_iter().collect();
        paths.sort_by(|(path_a, a), (path_b, b)| b.cmp(a).then_with(|| path_a.cmp(path_b)));
        let mut missing = self.missing.clone();
        if paths.len() > TEMPLATES_SHOWN_MAX {
            paths.truncate(TEMPLATES_SHOWN_MAX);
            missing.insert("only the 50 most frequent paths are shown".into());
        }
        if count > other_subjects.len() as u64 {
            missing.insert("not all other subjects are named".into());
        }
        BreachStep {
            status: Coverage::without(missing.iter().map(|reason| &**reason)),
            requests: self.requests,
            writes: self.writes,
            bytes: self.bytes,
            denied: self.denied,
            paths,
            other_subjects,
            other_subjects_count: count,
            ..BreachStep::default()
        }
    }
}

/// A path with `{id}` for every segment that names an object and not a function: `/orders/{id}/lines`.
pub fn template(path: &str) -> String {
    templated(path).0
}

/// [`template`], and the segments that it leaves out.
pub(super) fn templated(path: &str) -> (String, Vec<&str>) {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut out = String::with_capacity(path.len().min(120));
    let mut objects = Vec::new();
    for (at, segment) in path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .enumerate()
    {
        if at == SEGMENTS_MAX {
            out.push_str("/…");
            break;
        }
        // Matrix parameters (RFC 3986, section 3.3) hold values: `;jsessionid=…`.
        let word = segment.split(';').next().unwrap_or_default();
        out.push('/');
        if names_object(word) {
            objects.push(word);
            out.push_str("{id}");
        } else {
            out.push_str(word);
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    (shown(&out), objects)
}

/// True for an object whose name may open something by itself: a link to reset a password, a key of an API. Numbers,
/// UUIDs and short names do not look like that.
pub(super) fn may_be_secret(segment: &str) -> bool {
    let has = |is: fn(&u8) -> bool| segment.bytes().any(|byte| is(&byte));
    segment.chars().count() > WORD_CHARS_MAX
        || segment.len() >= 16
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
}

/// True for what looks made by a machine: a number, UUID, hexadecimal, base64, an address of mail,
/// anything long.
fn names_object(segment: &str) -> bool {
    let (mut digits, mut upper, mut lower, mut hex, mut plain) = (0, 0, 0, 0, 0);
    let mut marked = false;
    for byte in segment.bytes() {
        digits += usize::from(byte.is_ascii_digit());
        upper += usize::from(byte.is_ascii_uppercase());
        lower += usize::from(byte.is_ascii_lowercase());
        hex += usize::from(byte.is_ascii_hexdigit() || byte == b'-');
        plain += usize::from(byte.is_ascii_alphanumeric() || b"-_=.~".contains(&byte));
        marked |= matches!(byte, b'@' | b'%');
    }
    let length = segment.len();
    digits > 0 && upper + lower == 0
        || length > WORD_CHARS_MAX && segment.chars().count() > WORD_CHARS_MAX
        || marked
        || hex == length && digits > 0 && length >= 8
        || digits >= 4
        || length >= 16 && digits > 0 && upper > 0 && lower > 0 && plain == length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event<'a>(method: &'a str, path: &'a str, status: u16) -> AccessEvent<'a> {
        AccessEvent {
            method: Some(method.into()),
            path: Some(path.into()),
            status,
            bytes: 100,
            ..AccessEvent::default()
        }
    }

    #[test]
    fn a_template_keeps_functions_and_drops_objects() {
        for (path, expected) in [
            ("/api/v2/orders/8817/lines", "/api/v2/orders/{id}/lines"),
            ("/users/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/users/{id}"),
            ("/f/deadbeef01", "/f/{id}"),
            ("/s/ZGF0YS1rZXktMQ9x", "/s/{id}"),
            ("/u/alice@example.com/mail", "/u/{id}/mail"),
            ("/order-12345", "/{id}"),
            ("/oauth2/token", "/oauth2/token"),
            ("/api/feedbacks", "/api/feedbacks"),
            ("/app;jsessionid=AB12/x", "/app/x"),
            ("/a?b=1", "/a"),
            ("", "/"),
            (
                "/1/2/3/4/5/6/7/8/9",
                "/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/…",
            ),
        ] {
            assert_eq!(templated(path).0, expected);
        }
    }

    #[test]
    fn objects_are_told_by_their_names_and_secrets_are_not() {
        let (_, objects) = templated("/orders/8817/lines/0b7e-3f2a99");
        assert_eq!(objects, ["8817", "0b7e-3f2a99"]);
        for (segment, secret) in [
            ("8817", false),
            ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", false),
            ("alice@example.com", false),
            ("ZGF0YS1rZXktMQ9x", true),
            ("1234567890123456789012345678901234567890a", true),
        ] {
            assert_eq!(may_be_secret(segment), secret, "{segment}");
        }
    }

    #[test]
    fn counts_say_what_was_read_written_and_refused() {
        let mut breach = Breach::default();
        breach.add(&event("GET", "/api/orders/1", 200));
        breach.add(&event("GET", "/api/orders/2", 200));
        breach.add(&event("DELETE", "/api/orders/2", 403));
        let step = breach.step(Vec::new(), 0);
        assert_eq!(step.status, Coverage::Complete);
        assert_eq!(
            (step.requests, step.writes, step.bytes, step.denied),
            (3, 1, 300, 1)
        );
        assert_eq!(step.paths, [("/api/orders/{id}".to_owned(), 3)]);
    }

    #[test]
    fn a_scanner_cannot_fill_the_memory_and_the_report_says_that_it_is_cut() {
        let mut breach = Breach::default();
        for a in b'a'..=b'z' {
            for b in b'a'..=b'z' {
                let path = format!("/{}{}", char::from(a), char::from(b));
                breach.add(&event("GET", &path, 404));
            }
        }
        assert_eq!(breach.templates.len(), TEMPLATES_MAX + 1);
        let step = breach.step(Vec::new(), 0);
        assert_eq!(step.requests, 676);
        assert!(matches!(step.status, Coverage::Partial { reason } if reason.contains("{other}")));
    }

    #[test]
    fn what_was_counted_before_the_first_finding_is_in_and_said_to_be_without_paths() {
        let mut breach = Breach::default();
        breach.add_earlier(&SuspectStats {
            requests: 7,
            writes: 1,
            ..SuspectStats::default()
        });
        let step = breach.step(Vec::new(), 0);
        assert_eq!((step.requests, step.writes), (7, 1));
        assert!(matches!(step.status, Coverage::Partial { .. }));
    }
}
