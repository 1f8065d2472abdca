//! The dispatcher: carries out what the outbox holds, until it is done or given up.
//!
//! In: rows leased from the [`Store`]. Out: calls of [`Provider`]s and [`Receiver`]s, denials in memory, and what came
//! of each in the store, with a row of the audit before and after.
//! Does not know: why something is planned. One slow receiver does not hold up the others.
//! Source: full jitter, Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.

use super::denylist::Denylist;
use super::pace::{Paces, Permit};
use super::providers::Provider;
use crate::domain::action::{Action, Delivery, GATEWAY, Outcome, Standing, Step};
use crate::domain::ids::ActionId;
use crate::domain::time::Time;
use crate::outbound;
use crate::sinks::Receiver;
use crate::store::{Leased, Settled, Store, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

/// Attempts under way at once, of which one receiver has few.
const ATTEMPTS_AT_ONCE: usize = 32;

/// Four calls of ten seconds each, as a new password at Keycloak may take, and some air.
const ATTEMPT_MAX: Duration = Duration::from_secs(45);

/// Longer than any attempt, so that no other worker takes a row that is under way.
const LEASE_MS: i64 = 60_000;

/// How long to wait when the database does not answer, and at most until looking for rows again.
const PAUSE: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(60);

/// How long to wait at most while a receiver is held back: rows of others may become due.
const HELD: Duration = Duration::from_secs(1);

/// How long attempts under way may take after the stop signal. Their leases outlive it.
const DRAIN_MAX: Duration = Duration::from_secs(15);

/// When to try again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The longest first wait.
    pub first_ms: u64,
    /// The longest wait.
    pub longest_ms: u64,
    /// After so many attempts a row is a dead letter.
    pub attempts_max: u32,
    /// Spreads the waits of several installations.
    pub seed: u64,
}

impl Default for Backoff {
    /// 1 s, doubled up to 10 minutes, 16 attempts: together about an hour, as long as most access tokens live.
    fn default() -> Self {
        Self {
            first_ms: 1000,
            longest_ms: 600_000,
            attempts_max: 16,
            seed: 0,
        }
    }
}

impl Backoff {
    /// Full jitter: anything between nothing and the longest wait of this attempt.
    fn wait_ms(&self, id: ActionId, attempt: u32) -> u64 {
        let doubled = self
            .first_ms
            .saturating_mul(1 << attempt.saturating_sub(1).min(32));
        let longest_ms = doubled.min(self.longest_ms);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&id.get().to_le_bytes());
        hasher.update(&attempt.to_le_bytes());
        let mut eight = [0; 8];
        hasher.finalize_xof().fill(&mut eight);
        u64::from_le_bytes(eight) % (longest_ms + 1)
    }

    /// What becomes of a row. A call that must not be made twice is not tried again: nobody knows how far it came.
    fn settle(&self, leased: &Leased, outcome: &Outcome, now: Time) -> Settled {
        let repeatable = match &leased.delivery {
            Delivery::Action(action) => action.idempotent,
            Delivery::Alert(_) => true,
        };
        let again = match outcome {
            Outcome::Retry { .. } => repeatable && leased.attempt < self.attempts_max,
            Outcome::Unsent { .. } => leased.attempt < self.attempts_max,
            _ => false,
        };
        match outcome {
            Outcome::Done | Outcome::AlreadyDone => Settled::Done,
            Outcome::Retry { after_s, .. } | Outcome::Unsent { after_s, .. } if again => {
                let asked_ms = after_s.unwrap_or(0).saturating_mul(1000);
                let wait_ms =
                    asked_ms.saturating_add(self.wait_ms(leased.delivery.id(), leased.attempt));
                Settled::Again(now.plus_ms(i64::try_from(wait_ms).unwrap_or(i64::MAX)))
            }
            Outcome::Retry { .. }
            | Outcome::Unsent { .. }
            | Outcome::Failed { .. }
            | Outcome::Impossible { .. } => Settled::Dead,
        }
    }
}

/// Puts the denials among planned actions into force, at once. The outbox repeats it, so a crash in between does no
/// harm. Gives how many found no room.
pub fn contain(denylist: &Denylist, actions: &[Action]) -> usize {
    let go = actions
        .iter()
        .filter(|action| action.standing == Standing::Go);
    let denials = go.filter_map(|action| Some((&action.target, action.denied_until?)));
    denials
        .filter(|(target, until)| denylist.deny(target, *until).is_err())
        .count()
}

/// Is told of each attempt, to count it.
pub type Watcher = Arc<dyn Fn(&Delivery, &Outcome) + Send + Sync>;

/// Carries out what the outbox holds.
pub struct Dispatcher {
    /// Where the outbox is.
    pub store: Arc<Store>,
    /// What the gateway asks.
    pub denylist: Arc<Denylist>,
    /// Who acts.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Who is told.
    pub sinks: Vec<Receiver>,
    /// When to try again.
    pub backoff: Backoff,
    /// Who counts.
    pub watcher: Watcher,
}

impl Dispatcher {
    /// Works until `stop` is there, then lets attempts under way end. `wake` says that rows were added.
    pub async fn run(self: Arc<Self>, wake: Arc<Notify>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut attempts = JoinSet::new();
        let paces = Arc::default();
        loop {
            let wait = self
                .begin(&mut attempts, &paces)
                .await
                .unwrap_or_else(|error| {
                    error!(%error, "the outbox cannot be read");
                    PAUSE
                });
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = attempts.join_next() => {}
                () = wake.notified() => {}
                () = sleep(wait) => {}
            }
        }
        let rest = async { while attempts.join_next().await.is_some() {} };
        if timeout(DRAIN_MAX, rest).await.is_err() {
            warn!("some deliveries were still under way: they are tried again at the next start");
        }
    }

    /// Begins as many attempts as there is room for, and says how long until there may be more to do.
    async fn begin(
        self: &Arc<Self>,
        attempts: &mut JoinSet<()>,
        paces: &Arc<Mutex<Paces>>,
    ) -> Result<Duration, StoreError> {
        let room = ATTEMPTS_AT_ONCE - attempts.len();
        if room == 0 {
            return Ok(IDLE);
        }
        let (kept, dispatcher) = (Arc::clone(paces), Arc::clone(self));
        let leased = self.with_store(move |store| {
            let now = outbound::now();
            let mut permits = Vec::new();
            let leased = store.lease(room, now.plus_ms(LEASE_MS), now, &mut |delivery| {
                let permit = permit(&kept, delivery, now);
                let may = permit.is_some();
                permits.extend(permit);
                may
            });
            let leased = leased?.into_iter().zip(permits);
            let (denials, calls): (Vec<_>, Vec<_>) =
                leased.partition(|(leased, _)| is_denial(leased));
            let denials: Vec<_> = denials.into_iter().map(|(leased, _)| leased).collect();
            dispatcher.deny_all(store, &denials)?;
            Ok((denials.len(), calls))
        });
        let (denied, calls) = leased.await?;
        for (leased, permit) in calls {
            let dispatcher = self.clone();
            attempts.spawn(async move {
                dispatcher.attempt(leased).await;
                drop(permit);
            });
        }
        if attempts.len() == ATTEMPTS_AT_ONCE {
            return Ok(IDLE);
        }
        if denied == room {
            return Ok(Duration::ZERO);
        }
        let next = self.with_store(|store| store.depth()).await?.next;
        let now = outbound::now();
        let held = lock(paces).wait(now).unwrap_or(HELD).min(HELD);
        let wait = next.map(|next| match u64::try_from(next.as_ms() - now.as_ms()) {
            Ok(ms) if ms > 0 => Duration::from_millis(ms),
            _ => held,
        });
        Ok(wait.unwrap_or(IDLE).min(IDLE))
    }

    async fn attempt(&self, leased: Leased) {
        let (outcome, next) = match timeout(ATTEMPT_MAX, self.deliver(&leased.delivery)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let why = "took too long".to_owned();
                (Outcome::Retry { after_s: None, why }, None)
            }
        };
        let now = outbound::now();
        let settled = self.judge(&leased, &outcome, now);
        let settle = self
            .with_store(move |store| store.settle(&leased.delivery, &outcome, settled, next, now));
        if let Err(error) = settle.await {
            error!(%error, "what came of a delivery cannot be written down: it is tried again");
        }
    }

    /// Denials are memory of this process. They are in force at once, and written down together: a theft of very many
    /// tokens must not keep the calls and the messages about it waiting for the disk.
    fn deny_all(&self, store: &Store, denials: &[Leased]) -> Result<(), StoreError> {
        let now = outbound::now();
        let deny = |leased: &Leased| {
            let Delivery::Action(action) = &leased.delivery else {
                return None;
            };
            let outcome = self.deny(action);
            let settled = self.judge(leased, &outcome, now);
            Some((leased.delivery.clone(), outcome, settled))
        };
        let done: Vec<_> = denials.iter().filter_map(deny).collect();
        match done.is_empty() {
            true => Ok(()),
            false => store.settle_all(&done, now),
        }
    }

    /// What becomes of a row after this attempt, which is counted.
    fn judge(&self, leased: &Leased, outcome: &Outcome, now: Time) -> Settled {
        (self.watcher)(&leased.delivery, outcome);
        let settled = self.backoff.settle(leased, outcome, now);
        if settled == Settled::Dead {
            let receiver = leased.delivery.receiver();
            warn!(%receiver, id = %leased.delivery.id(), why = outcome.why(), "a dead letter");
        }
        settled
    }

    /// Gives what came of it, and what is to follow.
    async fn deliver(&self, delivery: &Delivery) -> (Outcome, Option<Action>) {
        let gone = || Outcome::Failed {
            why: "nobody of this name is configured any more".to_owned(),
        };
        let outcome = match delivery {
            Delivery::Action(action) => {
                let mut providers = self.providers.iter();
                match providers.find(|provider| *provider.name() == action.provider) {
                    Some(provider) => return carry_out(&**provider, action).await,
                    None => gone(),
                }
            }
            Delivery::Alert(alert) => {
                let mut sinks = self.sinks.iter();
                match sinks.find(|receiver| receiver.name == alert.sink) {
                    Some(receiver) => receiver.sink.deliver(alert).await,
                    None => gone(),
                }
            }
        };
        (outcome, None)
    }

    fn deny(&self, action: &Action) -> Outcome {
        let until = action.denied_until.unwrap_or_default();
        match self.denylist.deny(&action.target, until) {
            Ok(()) => Outcome::Done,
            Err(full) => Outcome::Retry {
                after_s: None,
                why: full.to_string(),
            },
        }
    }

    /// The database waits for the disk, which the runtime must not.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.store.clone();
        match spawn_blocking(move || work(&store)).await {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

fn lock(paces: &Mutex<Paces>) -> MutexGuard<'_, Paces> {
    paces.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_denial(leased: &Leased) -> bool {
    matches!(&leased.delivery, Delivery::Action(action) if *action.provider == *GATEWAY)
}

/// A place for one more attempt. Denials are memory of this process, and wait for nobody.
fn permit(paces: &Mutex<Paces>, delivery: &Delivery, now: Time) -> Option<Option<Permit>> {
    let name = match delivery {
        Delivery::Action(action) if *action.provider == *GATEWAY => return Some(None),
        Delivery::Action(action) => format!("provider {}", action.provider),
        Delivery::Alert(alert) => format!("sink {}", alert.sink),
    };
    lock(paces).take(&name, now).map(Some)
}

/// Carries an action out. After a revocation somebody looks whether the sessions that were there are gone: an answer
/// 2xx proves nothing, and some vendors act minutes later.
async fn carry_out(provider: &dyn Provider, action: &Action) -> (Outcome, Option<Action>) {
    if action.step == Step::Verify {
        return (look_again(provider, action).await, None);
    }
    let before = match (action.step, provider.sessions(&action.target)) {
        (Step::Revoke, Some(listing)) => listing.await.unwrap_or_default(),
        _ => Vec::new(),
    };
    let outcome = provider.carry_out(action).await;
    let verifies = outcome == Outcome::Done && !before.is_empty();
    let follow = verifies.then(|| Action {
        calls: vec![format!("list what is left of {} sessions", before.len())],
        before,
        ..action.followed_by(Step::Verify)
    });
    (outcome, follow)
}

/// Only what was there before counts: whoever logged in again since did so with whatever was asked of him.
async fn look_again(provider: &dyn Provider, action: &Action) -> Outcome {
    let Some(listing) = provider.sessions(&action.target) else {
        let why = "the provider cannot list sessions any more".to_owned();
        return Outcome::Impossible { why };
    };
    let now = match listing.await {
        Ok(now) => now,
        Err(outcome) => return outcome,
    };
    let before = &action.before;
    let left = before.iter().filter(|id| now.contains(id)).count();
    match left {
        0 => Outcome::Done,
        _ => Outcome::Retry {
            after_s: None,
            why: format!("{left} of {} sessions are still there", before.len()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_from_nothing() {
        let backoff = Backoff::default();
        let longest = |attempt| {
            let waits = (0..2000).map(|id| backoff.wait_ms(ActionId::new(id), attempt));
            let waits: Vec<_> = waits.collect();
            (*waits.iter().min().unwrap(), *waits.iter().max().unwrap())
        };
        for (attempt, longest_ms) in [(1, 1000), (4, 8000), (11, 600_000), (99, 600_000)] {
            let (min_ms, max_ms) = longest(attempt);
            assert!(min_ms <= longest_ms / 100, "{attempt}: {min_ms}");
            assert!(
                (longest_ms * 99 / 100..=longest_ms).contains(&max_ms),
                "{attempt}: {max_ms}"
            );
        }
    }
}
