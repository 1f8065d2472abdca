//! Each use held against measures that were not in force.
//!
//! In: uses in the order of event time, each by its holder or by a thief. Out: [`ndjson::Whatif`] of each measure.
//! Does not know: who is a thief.
//! Source: RFC 9700 (OAuth 2.0 security), sections 2.2 and 4.14: short lives, sender constraint, rotation.

use crate::cli::Bind;
use crate::domain::context::Context;
use crate::domain::ids::{SessionId, TokenId};
use crate::domain::time::Time;
use crate::engine::follow::Followed;
use crate::sinks::ndjson;
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};

/// How long an older token still works under rotation: parallel requests of one page, and a lost answer.
const ROTATION_GRACE_S: f64 = 60.0;

/// Tokens remembered of one session: more than are in use at once.
const TOKENS_MAX: usize = 8;

/// Sessions followed: what an archive that fits a machine holds. Later ones are not counted.
const SESSIONS_MAX: usize = 2_000_000;

/// A measure that was not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Measure {
    /// Tokens die so many seconds after they were issued.
    Lifetime(u32),
    /// A session ends where it leaves what it began in.
    Bind(Bind),
    /// Older tokens of a session die when a newer one is used.
    Rotate,
}

impl Measure {
    fn name(self) -> String {
        match self {
            Self::Lifetime(s) if s % 86_400 == 0 => format!("lifetime {}d", s / 86_400),
            Self::Lifetime(s) if s % 3600 == 0 => format!("lifetime {}h", s / 3600),
            Self::Lifetime(s) if s % 60 == 0 => format!("lifetime {}m", s / 60),
            Self::Lifetime(s) => format!("lifetime {s}s"),
            Self::Bind(Bind::Network) => "bind network".to_owned(),
            Self::Bind(Bind::Client) => "bind client".to_owned(),
            Self::Rotate => "rotate".to_owned(),
        }
    }
}

/// Who used a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// Whose it is.
    Holder,
    /// The thief of the theft of this number.
    Thief(usize),
}

/// One session under all measures.
#[derive(Debug)]
struct Session {
    network: String,
    client: String,
    user: u128,
    /// Oldest first.
    tokens: SmallVec<[Token; 1]>,
    /// Distinct tokens so far.
    tokens_seen: u32,
    /// By measure: a lifetime was outlived by the holder's own use.
    outlived: u32,
}

#[derive(Clone, Debug)]
struct Token {
    id: TokenId,
    issued: Time,
    /// When a newer one was first used.
    replaced: Option<Time>,
    /// Renewals that each lifetime took so far, by measure.
    renewed: SmallVec<[u32; 4]>,
}

/// What was counted of one measure.
#[derive(Clone, Debug, Default)]
struct Count {
    prevented: u64,
    refreshes: u64,
    hurt: HashSet<u128>,
    /// By theft: requests that got through.
    through: Vec<u64>,
}

/// The measures and what each came to.
pub(super) struct Ledger {
    measures: Vec<Measure>,
    together: bool,
    /// One for each measure, and one for all together.
    counts: Vec<Count>,
    sessions: HashMap<SessionId, Session>,
    users: HashSet<u128>,
    requests: u64,
    thefts: usize,
}

impl Ledger {
    pub(super) fn new(measures: Vec<Measure>, together: bool, thefts: usize) -> Self {
        let count = Count {
            through: vec![0; thefts],
            ..Count::default()
        };
        Self {
            counts: vec![count; measures.len() + 1],
            measures,
            together,
            sessions: HashMap::new(),
            users: HashSet::new(),
            requests: 0,
            thefts,
        }
    }

    /// Holds a use that was let in against every measure.
    pub(super) fn see(&mut self, usage: &Followed, party: Party) {
        let id = usage.token.session;
        let full = self.sessions.len() >= SESSIONS_MAX && !self.sessions.contains_key(&id);
        if !usage.standing.accepted || full {
            return;
        }
        let session = (self.sessions.entry(id)).or_insert_with(|| Session::begin(usage));
        let token = session.token(usage, party, self.measures.len());
        let mut any = false;
        for (index, measure) in self.measures.iter().enumerate() {
            let refused = session.refuses(*measure, usage, token);
            any |= refused;
            let count = &mut self.counts[index];
            match (*measure, party) {
                (Measure::Lifetime(_), Party::Holder) => {
                    // Whether the client can renew is known when all of the session was seen.
                    session.outlived |= u32::from(refused) << index.min(31);
                    count.refreshes += session.renewals(*measure, index, usage, token);
                }
                _ => count.note(refused, party, session.user),
            }
        }
        if let Some(all) = self.counts.last_mut() {
            all.note(any, party, session.user);
        }
        match party {
            Party::Holder => {
                self.users.insert(session.user);
            }
            Party::Thief(_) => self.requests += 1,
        }
    }

    /// What each measure came to, and all of them together.
    pub(super) fn results(mut self) -> Vec<ndjson::Whatif> {
        for session in self
            .sessions
            .values()
            .filter(|session| session.tokens_seen == 1)
        {
            for index in 0..self.measures.len() {
                if session.outlived & 1 << index.min(31) != 0 {
                    self.counts[index].hurt.insert(session.user);
                }
            }
        }
        self.settle_all_together();
        let names = self.measures.iter().map(|measure| measure.name());
        let all = self.together.then(|| "all of these".to_owned());
        let results = names.chain(all).zip(&self.counts);
        let result = |(measure, count): (String, &Count)| ndjson::Whatif {
            measure,
            requests: self.requests,
            prevented: count.prevented,
            thefts: self.thefts as u64,
            thefts_prevented: count
                .through
                .iter()
                .filter(|through| **through == 0)
                .count() as u64,
            users: self.users.len() as u64,
            users_hurt: count.hurt.len() as u64,
            refreshes: count.refreshes,
        };
        results.map(result).collect()
    }

    /// Together, a lifetime hurts whom it hurts alone, and only the shortest asks for refreshes.
    fn settle_all_together(&mut self) {
        let Some((all, each)) = self.counts.split_last_mut() else {
            return;
        };
        all.hurt = each
            .iter()
            .flat_map(|count| count.hurt.iter().copied())
            .collect();
        all.refreshes = each.iter().map(|count| count.refreshes).max().unwrap_or(0);
    }
}

impl Count {
    fn note(&mut self, refused: bool, party: Party, user: u128) {
        match (party, refused) {
            (Party::Thief(_), true) => self.prevented += 1,
            (Party::Thief(theft), false) => {
                if let Some(through) = self.through.get_mut(theft) {
                    *through += 1;
                }
            }
            (Party::Holder, true) => {
                self.hurt.insert(user);
            }
            (Party::Holder, false) => {}
        }
    }
}

impl Session {
    fn begin(usage: &Followed) -> Self {
        let token = &usage.token;
        Self {
            network: network(&usage.context),
            client: client(&usage.context),
            user: token
                .subject
                .map_or(token.session.get(), |subject| subject.get()),
            tokens: SmallVec::new(),
            tokens_seen: 0,
            outlived: 0,
        }
    }

    /// The place of the use's token. A newer one of the holder's replaces those before it.
    fn token(&mut self, usage: &Followed, party: Party, measures: usize) -> usize {
        let id = usage.token.id;
        if let Some(at) = self.tokens.iter().position(|token| token.id == id) {
            return at;
        }
        self.tokens_seen += 1;
        if party == Party::Holder {
            let older = self.tokens.iter_mut();
            older.for_each(|token| token.replaced = token.replaced.or(Some(usage.time)));
        }
        if self.tokens.len() == TOKENS_MAX {
            self.tokens.remove(0);
        }
        let issued = usage.token.issued_s.and_then(|s| s.checked_mul(1000));
        self.tokens.push(Token {
            id,
            issued: issued
                .and_then(Time::from_ms)
                .unwrap_or(usage.time)
                .min(usage.time),
            replaced: None,
            renewed: SmallVec::from_elem(0, measures),
        });
        self.tokens.len() - 1
    }

    fn refuses(&self, measure: Measure, usage: &Followed, token: usize) -> bool {
        let Some(token) = self.tokens.get(token) else {
            return false;
        };
        match measure {
            Measure::Lifetime(lifetime_s) => {
                usage.time.since_s(token.issued) > f64::from(lifetime_s)
            }
            Measure::Bind(Bind::Network) => network(&usage.context) != self.network,
            Measure::Bind(Bind::Client) => client(&usage.context) != self.client,
            Measure::Rotate => (token.replaced)
                .is_some_and(|replaced| usage.time.since_s(replaced) > ROTATION_GRACE_S),
        }
    }

    /// How many renewals the use takes that no use before it took.
    fn renewals(&mut self, measure: Measure, index: usize, usage: &Followed, token: usize) -> u64 {
        let (Measure::Lifetime(lifetime_s), Some(token)) = (measure, self.tokens.get_mut(token))
        else {
            return 0;
        };
        let lives = (usage.time.since_s(token.issued) / f64::from(lifetime_s)).max(0.0) as u32;
        let Some(renewed) = token.renewed.get_mut(index) else {
            return 0;
        };
        let more = lives.saturating_sub(*renewed);
        *renewed = lives.max(*renewed);
        u64::from(more.min(1))
    }
}

/// What a session is bound to under `bind network`.
fn network(context: &Context) -> String {
    match &context.network {
        Some(network) => format!("AS{}", network.asn),
        None => context.prefix().to_string(),
    }
}

/// What a session is bound to under `bind client`.
fn client(context: &Context) -> String {
    let client = context.client.as_ref();
    client.map_or_else(String::new, |client| {
        format!("{}/{}", client.name, client.os)
    })
}
