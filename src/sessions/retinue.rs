//! Who accompanies people's sessions again and again: the backends of a service, the lines of its offices, and the
//! addresses that people have in common.
//!
//! In: companions, as sessions show them in their first moments. Out: whether a context is that of one that several
//! people's sessions have: from then on it may join any session late.
//! Does not know: what follows from that. What a thief could teach is little: with accounts of his own he would have to
//! begin as many sessions as he means to enter, and a second line is known by the first, where only who is there can
//! teach.

use super::bounded::Bounded;
use crate::domain::ids::SubjectId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Backends remembered: a service has a handful, in some regions of a cloud or two.
const BACKENDS_MAX: usize = 4096;

/// Pairs of lines remembered: a few for each office or home that has two.
const LINES_MAX: usize = 65_536;

/// Addresses remembered at which sessions begin. Those that many people share are touched most, and stay.
const EXITS_MAX: usize = 65_536;

/// So many people's sessions show that a companion is not one person's own. A household has fewer.
const SERVED_MIN: usize = 8;

/// So many people's sessions begin, in turns, at an address that is nobody's own: as few as a small company has. A
/// household of as many is no worse: what is excused is to go on there with one's own program.
const AT_EXIT_MIN: usize = 3;

/// So many of them are remembered, whoever of whom comes back.
const AT_EXIT_MAX: usize = 8;

/// So often one of them comes back to it after another. A provider that leases an address to one subscriber after the
/// other has them come and go, and seldom come back to the very address.
const RETURNS_MIN: u8 = 1;

/// So many people show that somebody acts for others, too: not yet that he is a backend, but that nobody is to be
/// logged out for him. More than a couple, fewer than a household with children.
const ACCOMPANIED_MIN: usize = 3;

/// So many people show that two lines are of one router: nobody takes over three people's sessions of one office or
/// house, from one other line of the town and with the very build of each one's program.
const ON_BOTH_MIN: usize = 3;

/// A backend of the service's own serves at least one session in so many, be it for a rarely used page. Who registers
/// accounts and serves them by himself would have to bring as many.
const SHARE: u64 = 500;

/// A server that answers goes on without its person in one session of so many at most: who closes a page does not wait
/// for it.
const ALONE_SHARE: u64 = 10;

/// At so many sessions all counts are halved, so that a new backend need not outweigh all that ever was: some hours of
/// a large service, and more than anybody has accounts of his own.
const BEGUN_MAX: u64 = 20_000;

/// Companions that people's sessions have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retinue {
    backends: Bounded<u128, Backend>,
    lines: Bounded<u128, SmallVec<[SubjectId; ON_BOTH_MIN]>>,
    /// Pairs of networks that are two ways of one person's program.
    ways: Bounded<u128, ()>,
    /// Addresses at which people's sessions begin, with these people.
    exits: Bounded<u128, Exit>,
    /// Sessions that began, and how often they were halved.
    begun: u64,
    era: u32,
}

/// An address at which sessions begin.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Exit {
    people: SmallVec<[SubjectId; 1]>,
    last: Option<SubjectId>,
    returns: u8,
}

impl Exit {
    fn is_shared(&self) -> bool {
        self.people.len() >= AT_EXIT_MIN && self.returns >= RETURNS_MIN
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Backend {
    served: SmallVec<[SubjectId; SERVED_MIN]>,
    /// Sessions that it served, as of an era.
    sessions: u64,
    /// Sessions that it joined late.
    joined: u64,
    /// People whom it answers, though it came late.
    answered: SmallVec<[SubjectId; SERVED_MIN]>,
    /// Sessions in which it answered one page after another, and those in which it ceased to.
    answering: u64,
    alone: u64,
    era: u32,
}

impl Backend {
    /// Brings the counts to an era.
    fn age(&mut self, era: u32) {
        let halved = era.saturating_sub(std::mem::replace(&mut self.era, era));
        let counts = [
            &mut self.sessions,
            &mut self.joined,
            &mut self.answering,
            &mut self.alone,
        ];
        for count in counts {
            *count = count.checked_shr(halved).unwrap_or_default();
        }
    }
}

impl Default for Retinue {
    fn default() -> Self {
        Self {
            backends: Bounded::new(BACKENDS_MAX),
            lines: Bounded::new(LINES_MAX),
            ways: Bounded::new(LINES_MAX),
            exits: Bounded::new(EXITS_MAX),
            begun: 0,
            era: 0,
        }
    }
}

impl Retinue {
    /// Counts a session that begins.
    pub fn begin(&mut self) {
        self.begun += 1;
        if self.begun >= BEGUN_MAX {
            self.begun /= 2;
            self.era = self.era.saturating_add(1);
        }
    }

    /// Learns that a backend accompanied a session of this person from its first moments. True when by this person it
    /// is known for one.
    pub fn served(&mut self, backend: u128, person: SubjectId) -> bool {
        let era = self.era;
        let known = self.backends.get_or_insert_with(backend, Backend::default);
        known.age(era);
        known.sessions += 1;
        let before = known.served.len();
        count(&mut known.served, person, SERVED_MIN);
        before < SERVED_MIN && known.served.len() == SERVED_MIN && self.serves(backend)
    }

    /// Counts a session that a backend joined late.
    pub fn joined(&mut self, backend: u128) {
        let era = self.era;
        if let Some(backend) = self.backends.get_mut(backend) {
            backend.age(era);
            backend.joined += 1;
        }
    }

    /// Learns that a server which came late to a session of this person answers them, page after page.
    pub fn answers(&mut self, backend: u128, person: SubjectId) {
        let era = self.era;
        let backend = self.backends.get_or_insert_with(backend, Backend::default);
        backend.age(era);
        backend.answering += 1;
        count(&mut backend.answered, person, SERVED_MIN);
    }

    /// Counts a session in which a server that seemed to answer went on alone.
    pub fn went_on_alone(&mut self, backend: u128) {
        let era = self.era;
        if let Some(backend) = self.backends.get_mut(backend) {
            backend.age(era);
            backend.alone += 1;
        }
    }

    /// Learns that a session of this person went over two lines, in its first moments or to and fro. True when from now
    /// on they are known to be one router's.
    pub fn went_over(&mut self, lines: u128, person: SubjectId) -> bool {
        let people = self.lines.get_or_insert_with(lines, SmallVec::new);
        let before = people.len();
        count(people, person, ON_BOTH_MIN);
        before < ON_BOTH_MIN && people.len() == ON_BOTH_MIN
    }

    /// True for a backend that serves several people and enough of all sessions, most of them from the start.
    pub fn serves(&self, backend: u128) -> bool {
        self.known(backend).is_some_and(|known| {
            known.joined < known.sessions && known.sessions.saturating_mul(SHARE) >= self.begun
        })
    }

    /// True for a backend that several people's sessions had from the start, however few and however long ago, and that
    /// does not join more than those, and for one that answers several people: enough where the session itself shows
    /// that it answers its person.
    pub fn knows(&self, backend: u128) -> bool {
        let began = self.known(backend);
        began.is_some_and(|known| known.joined <= known.sessions) || self.only_answers(backend)
    }

    /// True for a server that accompanied the sessions of others than this person from the start, too few to be known
    /// as a backend, and does not join more than those.
    pub fn may_serve(&self, backend: u128, person: Option<SubjectId>) -> bool {
        let aged = self.aged(backend);
        aged.is_some_and(|known| {
            let others = known
                .served
                .iter()
                .filter(|&&served| Some(served) != person);
            others.count() >= ACCOMPANIED_MIN && known.joined <= known.sessions
        })
    }

    /// True for a server that answers several people and hardly ever went on without them. The first few were told of.
    fn only_answers(&self, backend: u128) -> bool {
        let aged = self.aged(backend);
        aged.is_some_and(|known| {
            known.answered.len() >= SERVED_MIN
                && known.alone.saturating_mul(ALONE_SHARE) <= known.answering
        })
    }

    fn known(&self, backend: u128) -> Option<Backend> {
        let known = self.aged(backend)?;
        (known.served.len() >= SERVED_MIN).then_some(known)
    }

    fn aged(&self, backend: u128) -> Option<Backend> {
        let mut known = self.backends.get(backend)?.clone();
        known.age(self.era);
        Some(known)
    }

    /// Learns that a session of this person began at an address. True when from now on it is known for an exit.
    pub fn began_at(&mut self, exit: u128, person: SubjectId) -> bool {
        let known = self.exits.get_or_insert_with(exit, Exit::default);
        let before = known.is_shared();
        if known.last != Some(person) && known.people.contains(&person) {
            known.returns = known.returns.saturating_add(1);
        }
        known.last = Some(person);
        count(&mut known.people, person, AT_EXIT_MAX);
        !before && known.is_shared()
    }

    /// True for an address that several people have in common: an office's, a company tunnel's, a campus'.
    pub fn is_exit(&self, exit: u128) -> bool {
        self.exits.get(exit).is_some_and(Exit::is_shared)
    }

    /// Learns that a person's program takes these two ways.
    pub fn takes(&mut self, ways: u128) {
        self.ways.insert(ways, ());
    }

    /// True for two ways that a person's program takes.
    pub fn are_ways(&self, ways: u128) -> bool {
        self.ways.get(ways).is_some()
    }

    /// True for two lines that several people's sessions go over.
    pub fn are_one_routers(&self, lines: u128) -> bool {
        let people = self.lines.get(lines);
        people.is_some_and(|people| people.len() >= ON_BOTH_MIN)
    }
}

fn count<const N: usize>(people: &mut SmallVec<[SubjectId; N]>, person: SubjectId, enough: usize)
where
    [SubjectId; N]: smallvec::Array<Item = SubjectId>,
{
    if people.len() < enough && !people.contains(&person) {
        people.push(person);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::IdKey;

    fn person(name: &str) -> SubjectId {
        SubjectId::of(&IdKey::public([0; 32]), &[name.as_bytes()])
    }

    fn serve(retinue: &mut Retinue, people: usize) {
        for number in 0..people {
            retinue.begin();
            retinue.served(1, person(&number.to_string()));
        }
    }

    #[test]
    fn a_backend_is_known_once_eight_people_were_served() {
        let mut retinue = Retinue::default();
        serve(&mut retinue, 7);
        retinue.served(1, person("0"));
        assert!(!retinue.serves(1));
        serve(&mut retinue, 8);
        assert!(retinue.serves(1) && !retinue.serves(2));
    }

    #[test]
    fn who_joins_more_sessions_than_he_serves_is_no_backend() {
        let mut retinue = Retinue::default();
        serve(&mut retinue, 8);
        (0..8).for_each(|_| retinue.joined(1));
        assert!(!retinue.serves(1));
    }

    #[test]
    fn accounts_of_ones_own_do_not_make_a_backend_where_everybody_else_has_none() {
        let mut retinue = Retinue::default();
        (0..5000).for_each(|_| retinue.begin());
        assert!(!retinue.knows(1));
        serve(&mut retinue, 8);
        assert!(retinue.knows(1) && !retinue.serves(1));
        serve(&mut retinue, 8);
        assert!(retinue.serves(1));
    }

    #[test]
    fn what_serves_nobody_any_more_is_forgotten() {
        let mut retinue = Retinue::default();
        serve(&mut retinue, 50);
        assert!(retinue.serves(1));
        (0..8 * BEGUN_MAX).for_each(|_| retinue.begin());
        // It still is one where a session shows that it answers.
        assert!(!retinue.serves(1) && retinue.knows(1));
    }

    #[test]
    fn who_answers_eight_people_is_known_until_he_goes_on_alone() {
        let mut retinue = Retinue::default();
        for number in 0..8 {
            assert!(!retinue.knows(1));
            retinue.answers(1, person(&number.to_string()));
            retinue.answers(1, person("0"));
        }
        assert!(retinue.knows(1) && !retinue.serves(1));
        retinue.went_on_alone(1);
        assert!(retinue.knows(1));
        retinue.went_on_alone(1);
        assert!(!retinue.knows(1));
    }

    #[test]
    fn who_served_three_others_may_serve_a_fourth_unless_he_joins_more_than_he_serves() {
        let mut retinue = Retinue::default();
        serve(&mut retinue, 3);
        let of = |name: &str| Some(person(name));
        assert!(retinue.may_serve(1, of("new")) && !retinue.serves(1));
        // Nobody is his own witness.
        assert!(!retinue.may_serve(1, of("0")) && !retinue.may_serve(2, of("new")));
        (0..4).for_each(|_| retinue.joined(1));
        assert!(!retinue.may_serve(1, of("new")));
    }

    #[test]
    fn an_address_is_an_exit_once_three_peoples_sessions_began_there_and_one_came_back() {
        let mut retinue = Retinue::default();
        for name in ["a", "b", "c", "c"] {
            assert!(!retinue.began_at(9, person(name)));
        }
        assert!(retinue.began_at(9, person("a")) && retinue.is_exit(9));
        assert!(!retinue.began_at(9, person("d")) && !retinue.is_exit(8));
        for name in ["a", "b", "a", "b", "b", "a"] {
            assert!(!retinue.began_at(7, person(name)));
        }
        assert!(retinue.began_at(7, person("c")));
    }

    #[test]
    fn an_address_that_is_leased_to_one_after_the_other_is_none() {
        let mut retinue = Retinue::default();
        for name in ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e", "f", "f"] {
            assert!(!retinue.began_at(9, person(name)));
        }
        assert!(!retinue.is_exit(9));
    }

    #[test]
    fn two_lines_are_one_routers_once_three_people_went_over_both() {
        let mut retinue = Retinue::default();
        for name in ["a", "b", "a"] {
            assert!(!retinue.went_over(7, person(name)));
        }
        assert!(!retinue.are_one_routers(7));
        assert!(retinue.went_over(7, person("c")));
        assert!(retinue.are_one_routers(7) && !retinue.went_over(7, person("d")));
    }
}
