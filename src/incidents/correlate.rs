//! Which finding and which use belongs to which case.
//!
//! In: [`Report`], [`TokenUse`], [`Time`]. Out: [`Incident`]s.
//! Does not know: how a case scores or what its steps say.
//!
//! Findings join by subject (else session, else sender) and suspect, as long as neither changes and
//! no hour of event time passes in silence. What is refused, or a gateway's fault, strengthens a
//! case that is open about the same suspect; alone it is about the sender, or the gateway, and
//! about nobody's account.

use super::Report;
use super::case::{Case, Key, SILENCE_S_MAX};
use super::lifetime::{CASES_MAX, Evictions};
use super::score::Scale;
use super::shared_source::Shared;
use super::shown::{self, OtherSubjects};
use super::targets::forged;
use super::text::shown_arc;
use super::watched::{CaseNo, Watched};
use crate::domain::context::Prefix;
use crate::domain::event::Told;
use crate::domain::finding::Dimension;
use crate::domain::ids::{IncidentId, SessionId, SubjectId};
use crate::domain::incident::Incident;
use crate::domain::time::Time;
use crate::domain::usage::TokenUse;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Cases that may go on about one subject: a token that was published is used from everywhere, and
/// the twenty-first place is no other story.
const CASES_PER_KEY_MAX: usize = 20;
/// Newest cases remembered by subject and by suspect.
const REMEMBERED_MAX: usize = 50;
/// Earlier incidents named in a new one.
const PRIOR_MAX: usize = 10;
/// Other subjects named, as the contract says.
pub(super) const OTHERS_NAMED_MAX: usize = 100;
/// How often open cases are looked through when nobody asks, in event time.
const LOOK_S: f64 = 600.0;

/// Every case that goes on or was shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Incidents {
    pub(super) cases: BTreeMap<CaseNo, Case>,
    next: CaseNo,
    pub(super) by_key: BTreeMap<Key, Vec<CaseNo>>,
    pub(super) by_suspect: BTreeMap<Prefix, Vec<CaseNo>>,
    pub(super) watched: Watched,
    pub(super) shared: Vec<Shared>,
    pub(super) changed: BTreeSet<CaseNo>,
    pub(super) changed_shared: BTreeSet<IncidentId>,
    /// The newest event time seen; `None` before the first.
    now: Option<Time>,
    /// When open cases were looked through last.
    pub(super) looked: Option<Time>,
    pub(super) evictions: Evictions,
}

impl Incidents {
    /// Puts a finding into its case. Gives the incident's id when the case is, or has just become,
    /// one.
    ///
    /// The use itself is counted by [`Self::note`], once, after all its findings were recorded.
    pub fn record(&mut self, report: &Report<'_>) -> Option<IncidentId> {
        self.advance(report.usage.event.time);
        let no = self.going_on(report).unwrap_or_else(|| self.open(report));
        let case = self.cases.get_mut(&no)?;
        case.add(report);
        self.excuse_again(no);
        let case = self.cases.get(&no)?;
        let id = case.shown().then_some(case.id);
        let session = match case.key.scale() {
            Scale::Theft => Some(report.usage.token.session),
            Scale::Sender | Scale::Fault => None,
        };
        self.watched.add(no, report.suspect, session);
        remember(
            self.by_suspect.entry(report.suspect.prefix()).or_default(),
            no,
        );
        self.touch(no);
        if id.is_some() {
            self.share(no);
        }
        id
    }

    /// True when a case is open about senders in this prefix: then every use from there goes to
    /// [`Self::note`]. One look into a small table.
    #[inline]
    pub fn suspects(&self, prefix: Prefix) -> bool {
        self.watched.contains(prefix)
    }

    /// Counts a use from a watched prefix for the case it belongs to. Uses of nobody's interest
    /// change nothing.
    pub fn note(&mut self, usage: &TokenUse<'_>) {
        self.advance(usage.event.time);
        let (context, time) = (usage.context, usage.event.time);
        let Some(group) = self.watched.at(context.prefix()) else {
            return;
        };
        let (forged, refused) = (forged(usage), usage.event.refused());
        // A forged token names its victim's session; only an account that was entered with one
        // counts it.
        let entered = |no: &CaseNo| self.cases.get(no).is_some_and(|case| case.accepted_forgery);
        let by_session = group.case_of(usage.token.session);
        let by_session = by_session.filter(|no| !forged || entered(no));
        let no = by_session.or_else(|| group.sender().filter(|_| forged || refused));
        if !forged && !refused && self.watched.see_subject(usage.token, context) {
            self.touch_neighbours(context.prefix());
        }
        let Some(no) = no else { return };
        let Some(case) = self.cases.get_mut(&no) else {
            return;
        };
        let holder = case.victim.is(context) && !case.suspect.is(context);
        if !holder && case.goes_on(time, context, usage.token.session) {
            case.count(usage);
            self.touch(no);
        }
    }

    /// Hears what the identity provider told of a session, for the cases about it.
    pub fn tell(&mut self, session: SessionId, told: &Told) {
        let about = self
            .cases
            .iter_mut()
            .filter(|(_, case)| !case.closed && case.sessions.contains(&session));
        let told: Vec<CaseNo> = about
            .filter_map(|(no, case)| case.tell(std::slice::from_ref(told)).then_some(*no))
            .collect();
        told.into_iter().for_each(|no| self.touch(no));
    }

    /// Closes cases that were silent for an hour of event time.
    pub fn tick(&mut self, now: Time) {
        self.now = self.now.max(Some(now));
        self.look(now);
    }

    /// The incidents whose shown form changed since this was asked last, in order of opening, then
    /// id.
    pub fn changed(&mut self) -> Vec<Incident> {
        let now = self.now.unwrap_or_default();
        let cases = std::mem::take(&mut self.changed);
        let parents = std::mem::take(&mut self.changed_shared);
        let cases = cases.iter().filter_map(|no| self.cases.get(no));
        let parents = self
            .shared
            .iter()
            .filter(|shared| parents.contains(&shared.id));
        self.shown(cases, parents, now)
    }

    /// Every incident, in order of opening, then id.
    pub fn finish(&self) -> Vec<Incident> {
        let now = self.now.unwrap_or_default();
        // At the end it is known what was said in error.
        let excused = |no: CaseNo| {
            self.cases
                .get(&no)
                .is_some_and(|case| case.excused.is_some())
        };
        let cases = self.cases.values().filter(|case| case.excused.is_none());
        let shared = self.shared.iter();
        let shared = shared.filter(|shared| !shared.numbers().all(excused));
        self.shown(cases, shared, now)
    }

    /// These incidents as they stand, changed or not.
    pub fn named(&self, ids: &BTreeSet<IncidentId>) -> Vec<Incident> {
        let now = self.now.unwrap_or_default();
        let cases = self.cases.values().filter(|case| ids.contains(&case.id));
        let parents = self.shared.iter().filter(|shared| ids.contains(&shared.id));
        self.shown(cases, parents, now)
    }

    /// Gives these with the changed ones, too.
    pub fn touch_named(&mut self, ids: &BTreeSet<IncidentId>) {
        let cases = self.cases.iter().filter(|(_, case)| ids.contains(&case.id));
        self.changed.extend(cases.map(|(no, _)| *no));
        let parents = self.shared.iter().map(|shared| shared.id);
        self.changed_shared
            .extend(parents.filter(|id| ids.contains(id)));
    }

    /// What was dropped so far.
    pub fn evictions(&self) -> Evictions {
        self.evictions
    }

    fn shown<'a>(
        &self,
        cases: impl Iterator<Item = &'a Case>,
        parents: impl Iterator<Item = &'a Shared>,
        now: Time,
    ) -> Vec<Incident> {
        let cases = cases.filter(|case| case.shown());
        let mut incidents: Vec<_> = cases
            .map(|case| shown::incident(case, self.others(case), now))
            .collect();
        incidents.extend(parents.map(|shared| {
            let children: Vec<_> = shared
                .numbers()
                .filter_map(|no| self.cases.get(&no))
                .collect();
            let others = most(self.others_at(&[shared.prefix], None), &shared.others);
            shown::parent(shared, &children, others, now)
        }));
        incidents.sort_by_key(|incident| (incident.opened, incident.id));
        incidents
    }

    pub(super) fn others(&self, case: &Case) -> OtherSubjects {
        let own = match case.key {
            Key::Account(subject) => Some(subject),
            _ => None,
        };
        let live = self.others_at(&case.suspect.prefixes(), own);
        most(live, &case.others)
    }

    pub(super) fn others_at(&self, prefixes: &[Prefix], own: Option<SubjectId>) -> OtherSubjects {
        let groups = prefixes
            .iter()
            .filter_map(|prefix| self.watched.at(*prefix));
        let seen: BTreeMap<SubjectId, &Arc<str>> = groups
            .flat_map(|group| group.subjects())
            .filter(|(id, _)| Some(**id) != own)
            .map(|(id, name)| (*id, name))
            .collect();
        let mut names: Vec<Arc<str>> = seen.values().map(|name| (*name).clone()).collect();
        names.sort();
        names.truncate(OTHERS_NAMED_MAX);
        (names, seen.len() as u64)
    }

    /// The open case that a finding belongs to.
    fn going_on(&self, report: &Report<'_>) -> Option<CaseNo> {
        let key = key_of(report);
        let about_account = match key.scale() {
            Scale::Theft => None,
            // A token that somebody made names its victim's account, not its sender's.
            _ if forged(report.usage) => None,
            Scale::Sender => self.matching(&account_of(report.usage), report),
            // A fault says nothing of who acts. It can be told of the suspect, and makes nobody else one: whoever may
            // write a text into the log could bring its reader under suspicion.
            Scale::Fault => {
                let found = self.matching(&account_of(report.usage), report);
                found.filter(|no| {
                    let case = self.cases.get(no);
                    case.is_some_and(|case| case.suspect.is(report.suspect))
                })
            }
        };
        about_account.or_else(|| self.matching(&key, report))
    }

    fn matching(&self, key: &Key, report: &Report<'_>) -> Option<CaseNo> {
        let time = report.usage.event.time;
        let open: Vec<CaseNo> = self
            .by_key
            .get(key)?
            .iter()
            .copied()
            .filter(|no| self.cases.get(no).is_some_and(|case| !case.silent(time)))
            .collect();
        let full = || {
            open.last()
                .copied()
                .filter(|_| open.len() >= CASES_PER_KEY_MAX)
        };
        let fits = |no: &CaseNo| {
            let case = self.cases.get(no);
            case.is_some_and(|case| {
                case.accepted_forgery == report.accepted_forgery && case.takes_in(report)
            })
        };
        open.iter().rev().copied().find(fits).or_else(full)
    }

    fn open(&mut self, report: &Report<'_>) -> CaseNo {
        if self.cases.len() >= CASES_MAX {
            self.make_room();
        }
        let key = key_of(report);
        let prior = self.prior(&key, report);
        let no = self.next;
        self.next += 1;
        remember(self.by_key.entry(key.clone()).or_default(), no);
        self.cases.insert(no, Case::open(key, report, prior));
        no
    }

    /// Earlier incidents of the subject or the suspect that went silent before this one.
    fn prior(&self, key: &Key, report: &Report<'_>) -> Vec<IncidentId> {
        let time = report.usage.event.time;
        let of_key = self.by_key.get(key).into_iter().flatten();
        let of_suspect = self
            .by_suspect
            .get(&report.suspect.prefix())
            .into_iter()
            .flatten();
        let numbers: BTreeSet<_> = of_key.chain(of_suspect).copied().collect();
        let cases = numbers.iter().rev().filter_map(|no| self.cases.get(no));
        let earlier = cases.filter(|case| case.shown() && time.since_s(case.last) > SILENCE_S_MAX);
        earlier.map(|case| case.id).take(PRIOR_MAX).collect()
    }

    fn advance(&mut self, time: Time) {
        self.now = self.now.max(Some(time));
        if let Some(now) = self.now
            && self
                .looked
                .is_none_or(|looked| now.since_s(looked) >= LOOK_S)
        {
            self.look(now);
        }
    }
}

/// Whichever saw more.
pub(super) fn most(live: OtherSubjects, kept: &OtherSubjects) -> OtherSubjects {
    if kept.1 > live.1 { kept.clone() } else { live }
}

/// Whom a finding is about.
fn key_of(report: &Report<'_>) -> Key {
    let (finding, usage) = (report.finding, report.usage);
    let names_victim_only = finding.subject.is_none() && usage.token.subject.is_some();
    if finding.dimension == Dimension::Fault {
        let text = |text: Option<&str>| shown_arc(text.unwrap_or("an unknown host"));
        let issuer = shown_arc(usage.token.issuer.as_deref().unwrap_or("an unknown issuer"));
        return Key::Gateway(issuer, text(usage.event.host.as_deref()));
    }
    let unwelcome = forged(usage) || usage.event.refused() || names_victim_only;
    if unwelcome && !report.accepted_forgery {
        return Key::Sender(report.suspect.prefix());
    }
    account_of(usage)
}

fn account_of(usage: &TokenUse<'_>) -> Key {
    match usage.token.subject {
        Some(subject) => Key::Account(subject),
        None => Key::Session(usage.token.session),
    }
}

/// Keeps a number among the newest.
fn remember(numbers: &mut Vec<CaseNo>, no: CaseNo) {
    if numbers.last() != Some(&no) && !numbers.contains(&no) {
        numbers.push(no);
        if numbers.len() > REMEMBERED_MAX {
            numbers.remove(0);
        }
    }
}
