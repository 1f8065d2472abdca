//! Keeps key sets fresh: at the start, at a steady pace, and when a token names a key that is not
//! known.
//!
//! In: [`KeySource`]s and a [`Pace`]. Out: [`FetchedKeys`], handed to a function as they come.
//! Does not know: what is done with them. A fetch that fails hands over nothing, so the last good
//! set stays in force.

use super::fetch::{FetchedKeys, Fetcher, KeySource};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// What a server's `max-age` is held between. Below a minute we would be a burden, and some servers
/// say 0; beyond a day a withdrawn key would be trusted too long.
const FRESH_FOR: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));

/// How often to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two fetches, where the server does not say.
    pub every: Duration,
    /// At least so long between two fetches from one issuer, whoever asks.
    pub apart_min: Duration,
    /// Until an answer must be there.
    pub timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // A withdrawn key is distrusted, and a new one trusted, within a quarter of an hour
            // without being asked.
            every: Duration::from_secs(15 * 60),
            // Anybody can send tokens with made-up key ids; so many can't make us a flood on the
            // issuer, and a real rotation is still noticed within half a minute.
            apart_min: Duration::from_secs(30),
            // As for every call to a provider; a key server that is slower is down.
            timeout: Duration::from_secs(10),
        }
    }
}

/// Fetches key sets for as long as it runs.
#[derive(Debug)]
pub struct Refresher {
    sources: Vec<KeySource>,
    pace: Pace,
    fetcher: Fetcher,
    requests: KeyRequests,
}

/// Asks for an issuer's keys out of turn. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct KeyRequests {
    asked: Arc<BTreeMap<Arc<str>, Notify>>,
}

impl KeyRequests {
    /// Asks for the issuer's keys as soon as the pace allows; asking often is asking once. Never
    /// waits. An issuer that is not configured is nobody to ask.
    pub fn ask(&self, issuer: &str) {
        if let Some(asked) = self.asked.get(issuer) {
            asked.notify_one();
        }
    }
}

impl Refresher {
    /// A refresher of these sources, one for each issuer. The error is that of the TLS set-up.
    pub fn new(sources: Vec<KeySource>, pace: Pace) -> Result<Self, reqwest::Error> {
        let asked = sources
            .iter()
            .map(|source| (source.issuer.clone(), Notify::new()));
        Ok(Self {
            requests: KeyRequests {
                asked: Arc::new(asked.collect()),
            },
            fetcher: Fetcher::new(pace.timeout)?,
            sources,
            pace,
        })
    }

    /// How others ask for keys out of turn.
    pub fn requests(&self) -> KeyRequests {
        self.requests.clone()
    }

    /// Fetches until it is dropped, and hands over every set, also one that did not change: that it
    /// was still the issuer's is news too. Failures are logged and tried again.
    pub async fn run(self, deliver: impl Fn(FetchedKeys) + Clone + Send + 'static) {
        let mut issuers = JoinSet::new();
        for source in self.sources {
            let (pace, fetcher, requests) =
                (self.pace, self.fetcher.clone(), self.requests.clone());
            issuers.spawn(keep_fresh(source, pace, fetcher, requests, deliver.clone()));
        }
        while issuers.join_next().await.is_some() {}
    }
}

/// The loop of one issuer.
async fn keep_fresh(
    source: KeySource,
    pace: Pace,
    fetcher: Fetcher,
    requests: KeyRequests,
    deliver: impl Fn(FetchedKeys),
) {
    let Some(asked) = requests.asked.get(&source.issuer) else {
        return;
    };
    loop {
        let fetched = fetcher.fetch(&source).await;
        let done = Instant::now();
        let wait = match fetched {
            Ok(keys) => {
                let (count, skipped) = (keys.set.len(), keys.set.skipped());
                tracing::debug!(issuer = %source.issuer, count, skipped, "key set fetched");
                let fresh_for = keys.fresh_for;
                deliver(keys);
                fresh_for.map_or(pace.every, |time| time.clamp(FRESH_FOR.0, FRESH_FOR.1))
            }
            Err(fault) => {
                tracing::warn!(issuer = %source.issuer, %fault, "key set not fetched, old one stays");
                pace.every.min(FRESH_FOR.0)
            }
        };
        tokio::select! {
            () = sleep_until(done + wait) => {}
            () = asked.notified() => sleep_until(done + pace.apart_min).await,
        }
    }
}
