//! What others' published rules would have said about the same requests.
//!
//! In: accepted uses in order, with what our own tables say of their addresses. Out: alarms, by rule.
//! Does not know: the truth. Each rule is as its publisher describes it; where one needs logins, the first use of a
//! session stands for it. An alarm about a subject joins one that is not an hour old.
//! Source: CrowdSec `impossible-travel`, Panther `Impossible Travel` and `Session Hijacking`, Elastic's AWS and Okta
//! rules, Datadog's impossible travel method, Okta's session context change.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use tokentrip::domain::context::{Context, NetworkKind, Place};

/// One accepted use.
#[derive(Clone)]
pub(super) struct Hit {
    pub(super) at_s: f64,
    pub(super) sub: Arc<str>,
    pub(super) session: Arc<str>,
    pub(super) agent: Arc<str>,
    pub(super) context: Arc<Context>,
    /// The theft it belongs to.
    pub(super) theft: Option<usize>,
}

impl Hit {
    fn ip(&self) -> IpAddr {
        self.context.address.ip()
    }

    fn place(&self) -> Option<&Place> {
        self.context.place.as_deref()
    }

    fn asn(&self) -> Option<u32> {
        self.context.network.as_ref().map(|network| network.asn)
    }

    fn city(&self) -> Option<(&str, &str)> {
        let place = self.place()?;
        Some((
            place.country.as_str(),
            place.name.as_deref().unwrap_or_default(),
        ))
    }
}

/// Kilometres and kilometres an hour between two uses, by their points on the map alone.
fn travel(a: &Hit, b: &Hit) -> Option<(f64, f64)> {
    let km = a.place()?.distance_km(b.place()?);
    let hours = ((b.at_s - a.at_s).abs() / 3600.0).max(1.0 / 3600.0);
    Some((km, km / hours))
}

/// What was seen of a subject or of a session.
#[derive(Default)]
pub(super) struct Seen {
    last: Option<Hit>,
    last_login: Option<Hit>,
    recent: Vec<Hit>,
    ips: BTreeSet<IpAddr>,
    programs: BTreeSet<(String, String)>,
    places: Vec<(Place, f64)>,
    moves: BTreeSet<(String, String)>,
}

type Rule = fn(&Hit, &Seen, &Seen) -> Option<Hit>;

/// Name, and the use with which this one collides, from what is known of the subject and of the session.
pub(super) static ALL: &[(&str, Rule)] = &[
    ("the address changed", naive_ip),
    ("address and agent changed", naive_both),
    ("CrowdSec", crowdsec),
    ("Panther travel", panther),
    ("Panther session", panther_session),
    ("Elastic travel", elastic),
    ("Elastic key", elastic_key),
    ("Datadog", datadog),
    ("Okta", okta),
];

fn naive_ip(hit: &Hit, _: &Seen, session: &Seen) -> Option<Hit> {
    session.last.clone().filter(|last| last.ip() != hit.ip())
}

fn naive_both(hit: &Hit, _: &Seen, session: &Seen) -> Option<Hit> {
    naive_ip(hit, session, session).filter(|last| last.agent != hit.agent)
}

/// The last two logins more than 1000 km apart within three hours.
fn crowdsec(hit: &Hit, subject: &Seen, session: &Seen) -> Option<Hit> {
    let last = subject
        .last_login
        .clone()
        .filter(|_| session.last.is_none())?;
    let (km, _) = travel(&last, hit)?;
    (km > 1000.0 && hit.at_s - last.at_s < 3.0 * 3600.0).then_some(last)
}

/// Faster than 900 km/h; what hides places is left out, and so is what is near and soon.
fn panther(hit: &Hit, subject: &Seen, _: &Seen) -> Option<Hit> {
    let last = subject.last.clone()?;
    let hidden = |hit: &Hit| {
        let kind = hit.context.network_kind();
        matches!(
            kind,
            NetworkKind::Vpn | NetworkKind::Relay | NetworkKind::Satellite
        )
    };
    let (km, speed) = travel(&last, hit)?;
    let low = km < 50.0 && hit.at_s - last.at_s < 600.0;
    (speed > 900.0 && !low && !hidden(hit) && !hidden(&last)).then_some(last)
}

fn panther_session(hit: &Hit, _: &Seen, session: &Seen) -> Option<Hit> {
    let last = naive_ip(hit, session, session)?;
    (similarity(&last.agent, &hit.agent) < 0.95).then_some(last)
}

/// Twice the words in common over all words: what a ratio of texts sees in user agents.
fn similarity(a: &str, b: &str) -> f64 {
    fn words(text: &str) -> Vec<&str> {
        text.split([' ', ';', '(', ')', '/', ','])
            .filter(|word| !word.is_empty())
            .collect()
    }
    let (a, mut b) = (words(a), words(b));
    let all = a.len() + b.len();
    let mut common = 0;
    for word in a {
        if let Some(at) = b.iter().position(|other| *other == word) {
            b.swap_remove(at);
            common += 1;
        }
    }
    2.0 * f64::from(common) / all.max(1) as f64
}

/// 500 km and 800 km/h between two uses within 90 minutes, in two to five regions.
fn elastic(hit: &Hit, subject: &Seen, _: &Seen) -> Option<Hit> {
    let recent = subject
        .recent
        .iter()
        .filter(|old| hit.at_s - old.at_s <= 5400.0);
    let regions: BTreeSet<_> = recent.clone().chain([hit]).filter_map(Hit::city).collect();
    let mut fast = recent
        .filter(|old| travel(old, hit).is_some_and(|(km, speed)| km >= 500.0 && speed >= 800.0));
    fast.next()
        .filter(|_| (2..=5).contains(&regions.len()))
        .cloned()
}

/// Address, network and city of one key all change.
fn elastic_key(hit: &Hit, _: &Seen, session: &Seen) -> Option<Hit> {
    let last = naive_ip(hit, session, session)?;
    let network = last.asn().zip(hit.asn()).is_some_and(|(a, b)| a != b);
    let city = last.city().zip(hit.city()).is_some_and(|(a, b)| a != b);
    (network && city).then_some(last)
}

/// More than 500 km at more than 1000 km/h, unless the place is known for a day or the move was made before.
fn datadog(hit: &Hit, subject: &Seen, _: &Seen) -> Option<Hit> {
    let last = subject.last.clone()?;
    let (km, speed) = travel(&last, hit)?;
    let place = hit.place()?;
    let known = subject
        .places
        .iter()
        .any(|(known, since)| known.distance_km(place) < 50.0 && hit.at_s - since >= 86_400.0);
    let moved = subject.moves.contains(&pair(&last, hit));
    (km > 500.0 && speed > 1000.0 && !known && !moved).then_some(last)
}

fn pair(a: &Hit, b: &Hit) -> (String, String) {
    let name = |hit: &Hit| format!("{:?}", hit.city());
    (name(a), name(b))
}

/// One session with more than one address, and more than one system or browser.
fn okta(hit: &Hit, _: &Seen, session: &Seen) -> Option<Hit> {
    let mut programs = session.programs.clone();
    programs.insert(program(hit)?);
    let new = !session.ips.contains(&hit.ip()) || programs.len() > session.programs.len();
    let several = session
        .ips
        .iter()
        .chain([&hit.ip()])
        .collect::<BTreeSet<_>>()
        .len()
        > 1;
    session
        .last
        .clone()
        .filter(|_| new && several && programs.len() > 1)
}

fn program(hit: &Hit) -> Option<(String, String)> {
    let client = hit.context.client.as_ref()?;
    Some((client.name.to_string(), client.os.to_string()))
}

/// What one rule did.
#[derive(Clone, Default)]
pub(super) struct Tally {
    pub(super) found: BTreeSet<usize>,
    pub(super) right: usize,
    pub(super) wrong: usize,
    /// By subject: when the open alarm last rang, and whether it was right.
    open: HashMap<Arc<str>, (f64, bool)>,
}

/// All rules over one population.
pub(super) struct Rivals {
    subjects: HashMap<Arc<str>, Seen>,
    sessions: HashMap<Arc<str>, Seen>,
    pub(super) tallies: Vec<Tally>,
}

impl Rivals {
    pub(super) fn new() -> Self {
        Self {
            subjects: HashMap::new(),
            sessions: HashMap::new(),
            tallies: vec![Tally::default(); ALL.len()],
        }
    }

    pub(super) fn see(&mut self, hit: &Hit) {
        let subject = self.subjects.entry(hit.sub.clone()).or_default();
        let session = self.sessions.entry(hit.session.clone()).or_default();
        for ((_, rule), tally) in ALL.iter().zip(&mut self.tallies) {
            if let Some(other) = rule(hit, subject, session) {
                tally.alarm(hit, &other);
            }
        }
        if session.last.is_none() {
            subject.last_login = Some(hit.clone());
        }
        for seen in [subject, session] {
            seen.learn(hit);
        }
    }
}

impl Tally {
    /// Right when either end was a thief's; the alarm that goes on may still become right.
    fn alarm(&mut self, hit: &Hit, other: &Hit) {
        let theft = hit.theft.or(other.theft);
        self.found.extend(theft);
        let open = self
            .open
            .get(&hit.sub)
            .filter(|(last, _)| hit.at_s - last < 3600.0);
        let right = match open {
            None => {
                *(if theft.is_some() {
                    &mut self.right
                } else {
                    &mut self.wrong
                }) += 1;
                theft.is_some()
            }
            Some((_, false)) if theft.is_some() => {
                (self.right, self.wrong) = (self.right + 1, self.wrong - 1);
                true
            }
            Some((_, right)) => *right,
        };
        self.open.insert(hit.sub.clone(), (hit.at_s, right));
    }
}

impl Seen {
    fn learn(&mut self, hit: &Hit) {
        if let Some(last) = &self.last
            && last.city() != hit.city()
        {
            self.moves.insert(pair(last, hit));
        }
        self.ips.insert(hit.ip());
        self.programs.extend(program(hit));
        if let Some(place) = hit.place()
            && !self
                .places
                .iter()
                .any(|(known, _)| known.distance_km(place) < 50.0)
        {
            self.places.push((place.clone(), hit.at_s));
        }
        self.recent.retain(|old| hit.at_s - old.at_s <= 5400.0);
        // One use of each place is enough to compare with.
        self.recent.retain(|old| old.ip() != hit.ip());
        self.recent.push(hit.clone());
        self.last = Some(hit.clone());
    }
}
