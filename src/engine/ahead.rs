//! What can be said of a token without memory: decoded and checked on the thread that read its line.
//!
//! In: prepared lines, the key sets. Out: a [`Foretold`] in each line that is the first to show a token.
//! Does not know: what the engine makes of it. A verdict is a function of token and key sets, so where it was reached
//! changes nothing; the engine reaches those itself that are not foretold.

use super::Engine;
use super::prepare::{Prepared, PreparedChunk};
use crate::domain::context::Prefix;
use crate::domain::event::AccessEvent;
use crate::domain::ids::{Digest, IdKey};
use crate::domain::token::{Credential, Shape, Token, Verdict};
use crate::tokens::decode::decode;
use crate::tokens::verify::{Issuers, judge};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Places of tokens that were seen, a bit each, so that they fit in a core's cache. When half are taken all are
/// forgotten, and each token is looked at once more.
const SEEN_MAX: usize = 1 << 18;

/// Looks at tokens before the engine does; every parser shares one.
pub struct Ahead {
    key: IdKey,
    issuers: Arc<Issuers>,
    /// Taken at the place that the token's digest gives. Another one with that place is left to the engine.
    seen: Box<[AtomicU64]>,
    taken: AtomicUsize,
    waiting: Arc<Waiting>,
}

/// Networks told apart among those that wait. Two at one place wait together, which costs time and changes nothing.
const WAITING_PLACES: usize = 1 << 12;

/// Networks whose tokens wait in a flood of forged ones, by whether they were let in: nobody looks at them ahead,
/// either.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    let_in: Networks,
    others: Networks,
    /// Whoever was not let in waits, wherever they come from.
    all: AtomicBool,
}

impl Waiting {
    /// Those from where tokens with such an answer wait.
    pub(super) fn of(&self, event: &AccessEvent<'_>) -> &Networks {
        match event.succeeded() {
            true => &self.let_in,
            false => &self.others,
        }
    }

    /// Says whether everybody waits who was not let in.
    pub(super) fn set_all(&self, all: bool) {
        if self.all.load(Ordering::Relaxed) != all {
            self.all.store(all, Ordering::Relaxed);
        }
    }

    fn holds(&self, event: &AccessEvent<'_>) -> bool {
        let all = !event.succeeded() && self.all.load(Ordering::Relaxed);
        all || self.of(event).holds(event.client)
    }

    /// Nothing waits any more.
    pub(super) fn clear(&self) {
        self.let_in.clear();
        self.others.clear();
    }
}

/// A set of networks, changed by one thread and looked at by many.
#[derive(Debug)]
pub(super) struct Networks {
    any: AtomicBool,
    places: Box<[AtomicBool]>,
}

impl Default for Networks {
    fn default() -> Self {
        Self {
            any: AtomicBool::new(false),
            places: (0..WAITING_PLACES)
                .map(|_| AtomicBool::new(false))
                .collect(),
        }
    }
}

impl Networks {
    fn place(&self, network: Prefix) -> &AtomicBool {
        let hash = FixedState::with_seed(0).hash_one(network);
        &self.places[hash as usize % WAITING_PLACES]
    }

    pub(super) fn add(&self, network: Prefix) {
        self.place(network).store(true, Ordering::Relaxed);
        self.any.store(true, Ordering::Relaxed);
    }

    pub(super) fn remove(&self, network: Prefix) {
        if self.any.load(Ordering::Relaxed) {
            self.place(network).store(false, Ordering::Relaxed);
        }
    }

    fn clear(&self) {
        if self.any.swap(false, Ordering::Relaxed) {
            let places = self.places.iter();
            places.for_each(|place| place.store(false, Ordering::Relaxed));
        }
    }

    fn holds(&self, client: Option<IpAddr>) -> bool {
        let known = |client| self.place(Prefix::of(client)).load(Ordering::Relaxed);
        self.any.load(Ordering::Relaxed) && client.is_some_and(known)
    }
}

/// A token with what checking it said.
#[derive(Debug)]
pub struct Foretold {
    digest: Digest,
    token: Arc<Token>,
    verdict: Verdict,
    issuers: Arc<Issuers>,
}

impl Foretold {
    /// The token and its verdict, if they are this one's and under these key sets.
    pub(super) fn of(
        &self,
        digest: Digest,
        issuers: &Arc<Issuers>,
    ) -> Option<(&Arc<Token>, Verdict)> {
        let same = self.digest == digest && Arc::ptr_eq(&self.issuers, issuers);
        same.then_some((&self.token, self.verdict))
    }
}

impl Engine {
    /// Somebody who looks at tokens before this engine does, under its key sets; `None` when nothing shall be
    /// remembered.
    pub fn ahead(&self) -> Option<Ahead> {
        let wanted = self.settings.fast_path;
        wanted.then(|| Ahead {
            waiting: Arc::clone(&self.waiting),
            ..Ahead::new(&self.settings.key, &self.issuers)
        })
    }
}

impl Ahead {
    /// Decodes tokens, and checks them under these key sets.
    pub fn new(key: &IdKey, issuers: &Arc<Issuers>) -> Self {
        Self {
            key: key.clone(),
            issuers: Arc::clone(issuers),
            seen: (0..SEEN_MAX / 64).map(|_| AtomicU64::new(0)).collect(),
            taken: AtomicUsize::new(0),
            waiting: Arc::default(),
        }
    }

    /// Foretells what the tokens of a chunk are that nobody has shown before. Those from where tokens wait are the
    /// engine's: a flood is made of them.
    pub fn look(&self, chunk: &mut PreparedChunk) {
        chunk.with_dependent_mut(|_, lines| {
            for prepared in lines.iter_mut().flatten() {
                prepared.foretold = self.foretell(prepared).map(Box::new);
            }
        });
    }

    fn foretell(&self, prepared: &Prepared<'_>) -> Option<Foretold> {
        let credential = prepared.credentials.first()?;
        let is_raw = matches!(credential.shape, Shape::Raw(_));
        let event = &prepared.event;
        let wanted = is_raw && !self.waiting.holds(event) && self.is_new(credential.digest);
        wanted.then(|| self.checked(credential)).flatten()
    }

    fn checked(&self, credential: &Credential<'_>) -> Option<Foretold> {
        let token = decode(credential, &self.key).ok()?;
        Some(Foretold {
            digest: credential.digest,
            verdict: judge(credential, &token, &self.issuers),
            token: Arc::new(token),
            issuers: Arc::clone(&self.issuers),
        })
    }

    fn is_new(&self, digest: Digest) -> bool {
        let at = digest.0 as usize % SEEN_MAX;
        let (places, place) = (&self.seen[at / 64], 1 << (at % 64));
        let is_taken = |places: u64| places & place != 0;
        if is_taken(places.load(Ordering::Relaxed))
            || is_taken(places.fetch_or(place, Ordering::Relaxed))
        {
            return false; // nearly every one
        }
        if self.taken.fetch_add(1, Ordering::Relaxed) >= SEEN_MAX / 2 {
            self.taken.store(0, Ordering::Relaxed);
            let places = self.seen.iter();
            places.for_each(|places| places.store(0, Ordering::Relaxed));
        }
        true
    }
}
