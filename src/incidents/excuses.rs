//! What was said of a case and turns out to be nobody's deed.
//!
//! In: whose tokens were no forgeries, which addresses are one person's or one router's. Out: excused cases.
//! Does not know: how that became known. Whatever else was said of a case stays said.

use super::case::{Case, Key};
use super::correlate::Incidents;
use super::score::Scale;
use super::watched::CaseNo;
use crate::domain::context::{Context, Prefix, line_of};
use crate::domain::finding::Dimension;
use crate::domain::ids::{SessionId, SubjectId};
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// On so many days sessions of the subject begin where the suspect is, until that is the subject's own place: who stole
/// a token has no password, and who has both is not alone for long.
const OWN_DAYS_MIN: usize = 2;
const DAY_S: i64 = 86_400;

/// Points of a remark, which says nothing of who was there: whole tokens stand in the log, a token never ends.
const REMARK_POINTS_MAX: u32 = 5;

/// Why what was said of a case is not so, as became known later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Excuse {
    /// What looked like forgery was a fault of the keys: nobody entered the account.
    Keys,
    /// The two sides are the two lines of one router, over which several people go.
    Lines,
    /// The two sides are two ways of one program, which sends part of each page through a tunnel.
    Ways,
    /// The suspect is an address at which several people's sessions begin: an office's, a company tunnel's.
    Exit,
    /// The suspect is a backend that several people's sessions have from the start.
    Backend,
    /// The suspect is where sessions of the subject begin, day after day, with the same program.
    Own,
}

impl Incidents {
    /// The tokens of these subjects were no forgeries, the keys are at fault: what is open about them was said in
    /// error. It is told once more, as what it is.
    pub fn excuse(&mut self, subjects: &[SubjectId]) {
        let keys = subjects.iter().map(|subject| Key::Account(*subject));
        let about = keys.filter_map(|key| self.by_key.get(&key)).flatten();
        let about: BTreeSet<_> = about.copied().collect();
        for no in about {
            if let Some(case) = self.cases.get_mut(&no)
                && case.accepted_forgery
                && !case.closed
                && !case.causes.is_made_up()
            {
                case.excused = Some(Excuse::Keys);
                self.touch(no);
            }
        }
    }

    /// Several people go over these two lines, so they are one router's: who was said to be two for going between them,
    /// and for nothing else, was one.
    pub fn excuse_lines(&mut self, lines: [IpAddr; 2]) {
        self.excuse_at(lines, Excuse::Lines, |case| case.is_between(lines));
    }

    /// These are two ways of one program, part of whose requests go through a tunnel: what was said of its session for
    /// that was said of its holder.
    pub fn excuse_ways(&mut self, session: SessionId, lines: [IpAddr; 2]) {
        self.excuse_at(lines, Excuse::Ways, |case| {
            case.sessions == [session] && case.is_along(lines)
        });
    }

    /// Several people's sessions begin at this address, so it is nobody's own: who was said to have gone on there, and
    /// nothing else, went through it.
    pub fn excuse_exit(&mut self, exit: IpAddr) {
        self.excuse_at([exit, exit], Excuse::Exit, |case| case.is_at(exit));
    }

    /// A session of this subject begins here. Whoever was suspected here, for coming from here and nothing else, is the
    /// subject once that happens day after day: a thief of tokens cannot sign in.
    pub fn excuse_own(&mut self, subject: SubjectId, here: &Context, time: Time) {
        let about = self.by_key.get(&Key::Account(subject));
        let cases = &mut self.cases;
        let own = |no: &&CaseNo| {
            cases
                .get_mut(no)
                .is_some_and(|case| case.sign_in(here, time))
        };
        let about: Vec<CaseNo> = about.into_iter().flatten().filter(own).copied().collect();
        about.into_iter().for_each(|no| self.touch(no));
    }

    /// What is said of a place that is known for the subject's own is no news.
    pub(super) fn excuse_again(&mut self, no: CaseNo) {
        let Some((case, place)) = self
            .cases
            .get(&no)
            .and_then(|case| Some((case, case.place()?)))
        else {
            return;
        };
        let about = self.by_key.get(&case.key).into_iter().flatten();
        let mut about = about.filter_map(|other| self.cases.get(other));
        let own = about.any(|other| other.excused == Some(Excuse::Own) && other.is_at(place));
        if own && let Some(case) = self.cases.get_mut(&no) {
            case.excused = Some(Excuse::Own);
        }
    }

    /// Several people's sessions have this backend from the start: what was said of it, and of nobody else, was said of
    /// what acts for them. It has addresses in many prefixes, and becomes known once, so all cases are looked through.
    pub fn excuse_backend(&mut self, backend: &Context) {
        let said = self.cases.iter_mut();
        let said = said.filter(|(_, case)| case.excused.is_none() && case.is_backends(backend));
        let mut about = Vec::new();
        for (no, case) in said {
            case.excused = Some(Excuse::Backend);
            about.push(*no);
        }
        about.into_iter().for_each(|no| self.touch(no));
    }

    /// Excuses what `is_said` of suspects at one of these addresses.
    fn excuse_at(&mut self, ends: [IpAddr; 2], why: Excuse, is_said: impl Fn(&Case) -> bool) {
        let about = ends.map(Prefix::of);
        let about = about.iter().filter_map(|end| self.by_suspect.get(end));
        let about: BTreeSet<_> = about.flatten().copied().collect();
        for no in about {
            if let Some(case) = self.cases.get_mut(&no)
                && case.excused.is_none()
                && is_said(case)
            {
                case.excused = Some(why);
                self.touch(no);
            }
        }
    }
}

impl Case {
    /// True when all that it says is that a session went to and fro between these two lines.
    pub(super) fn is_between(&self, lines: [IpAddr; 2]) -> bool {
        !self.score.highest().contains_key(&Dimension::Place) && self.is_along(lines)
    }

    /// The same, however far the lines are apart.
    pub(super) fn is_along(&self, lines: [IpAddr; 2]) -> bool {
        let mut ends = self.suspect.ips().iter().chain(self.victim.ips());
        self.says_of_place() && ends.all(|end| lines.contains(&line_of(*end)))
    }

    /// True when all that it says is that a session went on, with its program, at this address.
    pub(super) fn is_at(&self, exit: IpAddr) -> bool {
        let mut ips = self.suspect.ips().iter();
        self.says_of_place() && ips.all(|ip| line_of(*ip) == exit)
    }

    /// The one address of the suspect, where all that is said is that a session went on there with its program.
    pub(super) fn place(&self) -> Option<IpAddr> {
        let line = line_of(*self.suspect.ips().first()?);
        self.is_at(line).then_some(line)
    }

    /// The subject signed in here. True when by this the suspect's place is known for the subject's own.
    pub(super) fn sign_in(&mut self, here: &Context, time: Time) -> bool {
        if self.excused.is_some() || self.place() != Some(here.line()) || !self.suspect.is(here) {
            return false;
        }
        let day = time.as_s().div_euclid(DAY_S);
        if !self.signed_in.contains(&day) {
            self.signed_in.push(day);
        }
        let own = self.signed_in.len() >= OWN_DAYS_MIN;
        self.excused = own.then_some(Excuse::Own);
        own
    }

    /// True when all that it says is that this program in this network took part.
    pub(super) fn is_backends(&self, backend: &Context) -> bool {
        use Dimension::{Client, Habit, Language, Network, Place, Time};
        self.says_only(&[Network, Place, Time, Habit, Client, Language])
            && self.suspect.is_all_of(backend)
    }

    /// True when all that it says is where a session went, and when: its program stayed what it is.
    fn says_of_place(&self) -> bool {
        use Dimension::{Habit, Network, Place, Time};
        self.says_only(&[Network, Place, Time, Habit])
    }

    fn says_only(&self, dimensions: &[Dimension]) -> bool {
        let said = self.score.highest().iter();
        let mut said = said.filter(|(_, points)| **points > REMARK_POINTS_MAX);
        matches!(self.key.scale(), Scale::Theft)
            && !self.sensitive
            && said.all(|(dimension, _)| dimensions.contains(dimension))
    }
}
