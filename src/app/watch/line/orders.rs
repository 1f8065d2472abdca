//! What the thread of lines is told from outside: new keys, new rules, a new configuration, the end.
//!
//! In: an [`Order`]. Out: the engine, the follower and what is round them, as ordered; what was wrong stays as it was.
//! Does not know: where orders come from.
//!
//! No line is lost or judged twice by an order: it comes between two batches. A snapshot follows whatever changes how
//! lines are judged, so that a replay judges them as they were judged; key sets are in the journal.

use super::Line;
use crate::app::Error;
use crate::app::receivers::Receivers;
use crate::app::set_up::{SetUp, load_rules};
use crate::app::watch::cases::Cases;
use crate::app::watch::memory::FetchedSet;
use crate::app::watch::{Order, settled};
use crate::config::{Config, ReadFrom};
use crate::domain::time::Time;
use crate::engine::Input;
use crate::ingest::journal::Fed;
use crate::ingest::tail::Hint;
use crate::issuers::FetchedKeys;
use crate::tokens::keys::KeySet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tracing::{error, info, warn};

impl Line {
    /// Does what was asked; true when that is to stop.
    pub(super) fn order(&mut self, order: Order) -> Result<bool, Error> {
        match order {
            Order::Stop => {
                // What was written before is read, also where nobody said so yet.
                self.follower.hint(&Hint::All);
                return Ok(true);
            }
            Order::Keys(keys) => self.fetched(&keys),
            Order::Rules => self.rules_again()?,
            Order::Revoked(target) => self.revoked(vec![target])?,
            Order::Configuration => self.configuration_again()?,
            Order::Breaches(done) => {
                self.was_read(done);
                self.answer()?;
            }
        }
        Ok(false)
    }

    fn fetched(&mut self, keys: &FetchedKeys) {
        let (issuer, at) = (keys.issuer.to_string(), keys.fetched_at);
        let bytes = keys.bytes.to_vec();
        let record = Fed::Keys { issuer, bytes, at };
        self.follower.note(record, Instant::now());
        self.learn(&keys.issuer, &keys.bytes, at);
        self.shared.readiness.ready("keys");
    }

    /// Judges by a key set from now on.
    pub(super) fn learn(&mut self, issuer: &str, bytes: &[u8], at: Time) {
        // It was parsed before it came here or was written down.
        let Ok(set) = KeySet::parse(bytes) else {
            return;
        };
        let bytes = bytes.to_vec();
        self.keys
            .insert(issuer.to_owned(), FetchedSet { bytes, at });
        if self.issuers.learn(issuer, set, at) {
            let issuers = Arc::new(self.issuers.clone());
            self.engine.observe(Input::Keys(issuers), &mut self.seen);
            self.shared.asking.learn(&self.issuers, &self.shared.keys);
        }
    }

    fn rules_again(&mut self) -> Result<(), Error> {
        match load_rules(self.set_up.rules_folder.as_deref(), &self.set_up.config) {
            Ok(rules) => {
                info!(rules = rules.rules().len(), "rules read again");
                let rules = Arc::new(rules);
                self.set_up.rules = Arc::clone(&rules);
                self.show_in_force();
                self.engine.observe(Input::Rules(rules), &mut self.seen);
                self.shared.readiness.ready("rules");
                self.snapshot_now()
            }
            Err(error) => {
                error!("the new rules are wrong, the old ones stay:\n{error}");
                let reason = "the rules on disk are wrong; the ones before are in force";
                self.shared.readiness.not_ready("rules", reason);
                Ok(())
            }
        }
    }

    fn show_in_force(&self) {
        let settled = settled(&self.set_up, self.answer.receivers());
        self.shared.in_force.set(settled);
    }

    fn configuration_again(&mut self) -> Result<(), Error> {
        match self.new_set_up() {
            Ok((set_up, receivers)) => self.go_on_with(set_up, receivers),
            Err(error) => {
                error!("the new configuration is wrong, the old one stays:\n{error}");
                let reason = "the configuration on disk is wrong; the one before is in force";
                self.shared.readiness.not_ready("configuration", reason);
                Ok(())
            }
        }
    }

    /// Everything in which a new configuration can be wrong. Listeners are the last of it, for they begin to receive.
    fn new_set_up(&mut self) -> Result<(SetUp, Receivers), Error> {
        let new = self.set_up.reload()?;
        if new.config.sources.is_empty() {
            return Err(Error::new("there would be nothing to watch: no [[source]]"));
        }
        let case = Cases::of(&self.shared.store, &new);
        let receivers = Receivers::new(&new.config, &case)?;
        self.surroundings.listen(&new.config, &self.shared)?;
        Ok((new, receivers))
    }

    fn go_on_with(&mut self, new: SetUp, receivers: Receivers) -> Result<(), Error> {
        // What was found so far leaves under the old configuration.
        self.answer()?;
        let old = &self.set_up;
        let (was, is) = (&old.config, &new.config);
        if was.state.folder != is.state.folder || was.server != is.server {
            warn!("[state] and [server] stay as they are until the next start");
        }
        let (patterns, from_end) = (patterns(is), from_end(is, was));
        self.readings.forget(|source| {
            let path = Path::new(&*source.0);
            old.entry(path) != new.entry(path)
        });
        if was.issuers != is.issuers {
            self.shared.keys = self.surroundings.fetch_keys(is, |_| {})?.1;
        }
        self.surroundings.deliver_to(&receivers, &self.shared)?;
        self.surroundings.mirror_to(&receivers, &self.shared);
        self.surroundings.watch_rules(&new);
        self.answer.answer_by(receivers);
        self.follower.rename(patterns, from_end, Instant::now());
        let memory = self.engine.snapshot().map_err(Error::shown)?;
        self.engine = new.engine(self.fast_path, false);
        self.engine.restore(&memory).map_err(Error::shown)?;
        self.issuers = new.issuers.clone();
        self.set_up = new;
        self.show_in_force();
        self.watch_folders();
        self.shared.asking.configure(&self.set_up.config);
        self.shared.asking.learn(&self.issuers, &self.shared.keys);
        for (issuer, set) in self.keys.clone() {
            self.learn(&issuer, &set.bytes, set.at);
        }
        let sources = self.set_up.config.sources.len();
        info!(sources, "configuration read again");
        self.shared.readiness.ready("configuration");
        self.shared.readiness.ready("rules");
        self.snapshot_now()
    }

    fn snapshot_now(&mut self) -> Result<(), Error> {
        self.fed = true;
        self.snapshot()
    }
}

/// What the configuration wants to be followed.
pub(super) fn patterns(config: &Config) -> Vec<OsString> {
    let sources = config.sources.iter();
    sources.map(|source| source.path.clone().into()).collect()
}

/// What is to be read from its end where it is new.
fn from_end(config: &Config, before: &Config) -> Vec<OsString> {
    let known = patterns(before);
    let mut new = patterns_from_end(config);
    new.retain(|pattern| !known.contains(pattern));
    new
}

/// What is to be read from its end when nothing was read of it before.
pub(super) fn patterns_from_end(config: &Config) -> Vec<OsString> {
    let sources = config.sources.iter();
    let from_end = sources.filter(|source| source.read_from == ReadFrom::End);
    from_end.map(|source| source.path.clone().into()).collect()
}
