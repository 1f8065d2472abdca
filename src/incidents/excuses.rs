//! What was said of a case and turns out to be nobody's deed.
//!
//! In: whose tokens were no forgeries, which addresses are one person's or one router's. Out: excused cases.
//! Does not know: how that became known. Whatever else was said of a case stays said.

use super::case::{Case, Excuse, Key};
use super::correlate::Incidents;
use crate::domain::context::{Context, Prefix};
use crate::domain::ids::{SessionId, SubjectId};
use std::collections::BTreeSet;
use std::net::IpAddr;

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
