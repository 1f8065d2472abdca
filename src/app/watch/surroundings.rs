//! What lives round the thread of lines and follows the configuration: key sets, deliveries, copies of the denylist,
//! listeners, the folder of rules.
//!
//! In: the set-up, and later a new one. Out: tasks that run, [`Order`]s from them.
//! Does not know: lines. What did not change goes on undisturbed; what is replaced finishes what it began.

use super::answer::count_delivery;
use super::line::Shared;
use super::rules_folder::RulesFolder;
use super::{Error, Order, start_thread};
use crate::app::receivers::Receivers;
use crate::app::set_up::SetUp;
use crate::config::{Config, Jwks};
use crate::domain::action::{Delivery, GATEWAY, Outcome, Step};
use crate::domain::incident::Target;
use crate::issuers::{KeyRequests, KeySource, Location, Pace, Refresher};
use crate::listeners::{Count, Counter, Listener, Listeners};
use crate::outbound::now;
use crate::response::dispatch::{Backoff, Dispatcher, Watcher};
use crate::response::mirrors::{self, Hearing, Witness};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// How often the folder of rules is looked at.
const RULES_EVERY: Duration = Duration::from_secs(1);

/// Tasks and threads round the lines.
pub(super) struct Surroundings {
    runtime: Handle,
    orders: Sender<Order>,
    keys: Option<JoinHandle<()>>,
    rules: Option<JoinHandle<()>>,
    /// The last one delivers, those before it finish what they began.
    deliveries: Vec<Stoppable<JoinHandle<()>>>,
    mirrors: Vec<Stoppable<JoinHandle<()>>>,
    listeners: Vec<(Listener, Stoppable<Listeners>)>,
}

/// Something that ends when it is told to.
struct Stoppable<T> {
    stop: watch::Sender<bool>,
    running: T,
}

impl Surroundings {
    /// Nothing runs yet.
    pub(super) fn new(runtime: Handle, orders: Sender<Order>) -> Self {
        Self {
            runtime,
            orders,
            keys: None,
            rules: None,
            deliveries: Vec::new(),
            mirrors: Vec::new(),
            listeners: Vec::new(),
        }
    }

    /// Where the thread of lines is told something.
    pub(super) fn orders(&self) -> Sender<Order> {
        self.orders.clone()
    }

    /// Fetches the key sets of the issuers, instead of those before. Gives whose, and how to ask out of turn.
    ///
    /// # Errors
    /// When an address is none.
    pub(super) fn fetch_keys(
        &mut self,
        config: &Config,
        fetched: impl Fn(&Arc<str>) + Clone + Send + 'static,
    ) -> Result<(Vec<Arc<str>>, KeyRequests), Error> {
        let mut sources = Vec::new();
        for issuer in &config.issuers {
            let Some(jwks) = &issuer.jwks else { continue };
            let location = match jwks {
                Jwks::File(path) => Location::file(path),
                Jwks::Url(url) => Location::url(url).map_err(Error::shown)?,
            };
            sources.push(KeySource {
                issuer: issuer.issuer.as_str().into(),
                location,
            });
        }
        let issuers = sources.iter().map(|source| Arc::clone(&source.issuer));
        let issuers = issuers.collect();
        let refresher = Refresher::new(sources, Pace::default()).map_err(Error::shown)?;
        let requests = refresher.requests();
        let orders = self.orders.clone();
        let task = self.runtime.spawn(refresher.run(move |keys| {
            fetched(&keys.issuer);
            // The thread of lines is gone only when the daemon ends.
            let _ = orders.send(Order::Keys(keys));
        }));
        let before = self.keys.replace(task);
        before.inspect(JoinHandle::abort);
        Ok((issuers, requests))
    }

    /// Looks at the folder of rules, instead of the one before.
    pub(super) fn watch_rules(&mut self, set_up: &SetUp) {
        let folder = RulesFolder::new(set_up.rules_folder.clone());
        let task = folder.watch(RULES_EVERY, self.orders.clone());
        let before = self.rules.replace(self.runtime.spawn(task));
        before.inspect(JoinHandle::abort);
    }

    /// Delivers to these receivers, instead of those before.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn deliver_to(
        &mut self,
        receivers: &Receivers,
        shared: &Shared,
    ) -> Result<(), Error> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)
            .map_err(|error| Error::new(format!("the system gives no random bytes: {error}")))?;
        let metrics = Arc::clone(&shared.metrics);
        let orders = self.orders.clone();
        let watcher: Watcher = Arc::new(move |delivery, outcome| {
            count_delivery(&metrics, delivery, outcome);
            if let Some(target) = revoked(delivery, outcome) {
                // The thread of lines is gone only when the daemon ends.
                let _ = orders.send(Order::Revoked(target));
            }
        });
        let dispatcher = Arc::new(Dispatcher {
            store: Arc::clone(&shared.store),
            denylist: Arc::clone(&shared.denylist),
            providers: receivers.providers.clone(),
            sinks: receivers.sinks.clone(),
            backoff: Backoff {
                seed: u64::from_le_bytes(seed),
                ..Backoff::default()
            },
            watcher,
        });
        let (stop, mut stopped) = watch::channel(false);
        self.deliveries.retain(|before| {
            before.stop.send_replace(true);
            !before.running.is_finished()
        });
        let running = self
            .runtime
            .spawn(dispatcher.run(Arc::clone(&shared.wake), async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            }));
        self.deliveries.push(Stoppable { stop, running });
        Ok(())
    }

    /// Keeps these copies of the denylist, instead of those before. One that is no longer wanted stays as it is.
    pub(super) fn mirror_to(&mut self, receivers: &Receivers, shared: &Shared) {
        for before in self.mirrors.drain(..) {
            before.stop.send_replace(true);
        }
        for mirror in &receivers.mirrors {
            let store = Arc::clone(&shared.store);
            let hearing = Hearing {
                denylist: Arc::clone(&shared.denylist),
                taken_back: Box::new(move |target| {
                    if let Err(error) = store.take_back(target, "another daemon", now()) {
                        error!(%error, "what another daemon took back is denied again after a restart");
                    }
                }),
            };
            let witness = witness(shared);
            let (stop, mut stopped) = watch::channel(false);
            let ended = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            let keeping = mirrors::keep(Arc::clone(mirror), hearing, witness, ended);
            let running = self.runtime.spawn(keeping);
            self.mirrors.push(Stoppable { stop, running });
        }
    }

    /// Listens where the configuration says, and nowhere else. What a listener that ends has received is written.
    ///
    /// # Errors
    /// When one cannot start; those before go on then.
    pub(super) fn listen(&mut self, config: &Config, shared: &Shared) -> Result<(), Error> {
        let sources = config.sources.iter();
        let wanted: Vec<Listener> = sources.filter_map(|source| source.listen.clone()).collect();
        let known = |listener: &Listener| self.listeners.iter().any(|(known, _)| known == listener);
        let mut new = Vec::new();
        for listener in wanted.iter().filter(|listener| !known(listener)) {
            new.push((listener.clone(), self.start(listener, shared)?));
        }
        let before = std::mem::take(&mut self.listeners);
        let (stay, end): (Vec<_>, Vec<_>) = before
            .into_iter()
            .partition(|(listener, _)| wanted.contains(listener));
        end.into_iter().for_each(|(_, listening)| finish(listening));
        self.listeners = stay;
        self.listeners.append(&mut new);
        Ok(())
    }

    fn start(&self, listener: &Listener, shared: &Shared) -> Result<Stoppable<Listeners>, Error> {
        let metrics = Arc::clone(&shared.metrics);
        let counter: Counter = Arc::new(move |name, count, times| match count {
            Count::Received => metrics.received(name, times),
            Count::Dropped(reason) => metrics.not_received(name, reason, times),
        });
        let (stop, stopped) = watch::channel(false);
        let one = std::slice::from_ref(listener);
        let started = Listeners::start(one, counter, start_thread, stopped);
        let running = self.runtime.block_on(started).map_err(Error::shown)?;
        info!(source = %listener.listen, spool = %listener.spool.display(), "receiving");
        Ok(Stoppable { stop, running })
    }

    /// Ends everything; what can be delivered now is delivered.
    pub(super) fn end(self) {
        for task in [&self.keys, &self.rules].into_iter().flatten() {
            task.abort();
        }
        for task in self.deliveries.iter().chain(&self.mirrors) {
            task.stop.send_replace(true);
        }
        for (_, listening) in self.listeners {
            finish(listening);
        }
        for deliveries in self.deliveries {
            // A panic there is a mistake of ours; the daemon ends anyway.
            let _ = self.runtime.block_on(deliveries.running);
        }
    }
}

/// What a provider has just revoked. What the gateway denies is known to the thread of lines already.
fn revoked(delivery: &Delivery, outcome: &Outcome) -> Option<Target> {
    let Delivery::Action(action) = delivery else {
        return None;
    };
    let worked = matches!(outcome, Outcome::Done | Outcome::AlreadyDone);
    let is_call = action.step == Step::Revoke && *action.provider != *GATEWAY;
    (worked && is_call).then(|| action.target.clone())
}

fn finish(listening: Stoppable<Listeners>) {
    listening.stop.send_replace(true);
    listening.running.finish();
}

/// Says on the metrics, on `/readyz` and in the log whether a copy of the denylist is in step.
fn witness(shared: &Shared) -> Witness {
    let (metrics, readiness) = (Arc::clone(&shared.metrics), Arc::clone(&shared.readiness));
    let said = AtomicBool::new(false);
    Arc::new(move |name, fault| {
        metrics.mirror_behind(name, f64::from(u8::from(fault.is_some())));
        let part = format!("mirror {name}");
        match fault {
            None => readiness.ready(&part),
            Some(fault) => readiness.impaired(&part, fault.to_string()),
        }
        match (fault, said.swap(fault.is_some(), Ordering::Relaxed)) {
            (None, true) => info!(mirror = name, "a copy of the denylist is in step again"),
            (Some(fault), false) => {
                warn!(mirror = name, %fault, "a copy of the denylist is behind");
            }
            _ => {}
        }
    })
}
