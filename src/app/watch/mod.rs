//! `tokentrip watch`: the daemon beside a gateway.
//!
//! In: [`Watch`]. Out: a process that follows logs, answers over HTTP, denies, calls and tells, until SIGTERM.
//! Does not know: how a line is judged ([`mod@line`]) or what follows from it ([`answer`]).
//!
//! One thread follows and judges ([`mod@line`]); HTTP, key sets and deliveries live on tokio. They meet in a channel of
//! [`Order`]s, the store and the denylist.

mod answer;
mod line;
mod memory;
mod readings;
mod rules_folder;
mod unstored;

use super::Error;
use super::receivers::Receivers;
use super::set_up::SetUp;
use super::stderr::Masked;
use crate::cli::Watch;
use crate::config::{Config, Jwks};
use crate::domain::time::Time;
use crate::http::{Check, Options, Parts, Readiness, Server};
use crate::ingest::open::allow_many_files;
use crate::ingest::state::State;
use crate::issuers::{FetchedKeys, KeySource, Location, Pace, Refresher};
use crate::listeners::{Count, Counter, Listener, Listeners};
use crate::metrics::Metrics;
use crate::outbound::now;
use crate::response::denylist::Denylist;
use crate::response::dispatch::{self, Backoff, Dispatcher};
use crate::store::Store;
use line::{Line, Shared};
use rules_folder::RulesFolder;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// How long the first key sets may keep the first line waiting: a provider that is down must not blind us.
const FIRST_KEYS: Duration = Duration::from_secs(10);

/// How often the folder of rules is looked at.
const RULES_EVERY: Duration = Duration::from_secs(1);

/// What the thread of lines is told from outside.
#[derive(Debug)]
pub(crate) enum Order {
    /// A key set came.
    Keys(FetchedKeys),
    /// Somebody asks for the rules to be read again.
    Rules,
    /// Finish what was read, and end.
    Stop,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// With what is wrong with the set-up; nothing was started then.
pub(crate) fn run(options: &Watch) -> Result<u8, Error> {
    log_to_stderr();
    allow_many_files();
    let mut state = None;
    let mut set_up = SetUp::load(
        options.config.config.as_deref(),
        options.rules.rules.as_deref(),
        options.format.as_deref(),
        |config| {
            let opened = State::open(&config.state.folder).map_err(Error::shown)?;
            let key = opened.id_key().clone();
            state = Some(opened);
            Ok(key)
        },
    )?;
    let Some(state) = state else {
        return Err(Error::new("the state folder was not opened"));
    };
    if set_up.config.sources.is_empty() {
        return Err(
            Error::new("there is nothing to watch: no [[source]] is configured").help(
                "add `[[source]]` with `path = \"/var/log/nginx/*.log\"` to the configuration",
            ),
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(format!("cannot start the runtime: {error}")))?;
    let store = Arc::new(Store::open(&state.folder().join("store.db")).map_err(Error::shown)?);
    let denylist = Arc::new(Denylist::default());
    for (target, until) in store.denylist(now()).map_err(Error::shown)? {
        // A full denylist is counted by itself; what found room is in force.
        let _ = denylist.deny(&target, until);
    }
    let metrics = Arc::new(Metrics::new().map_err(Error::shown)?);
    let readiness = Arc::new(Readiness::waiting_for(&["sources", "keys"]));
    let receivers = Receivers::new(&set_up.config)?;
    let parts = Parts {
        metrics: Arc::clone(&metrics),
        readiness: Arc::clone(&readiness),
        check: Arc::new(Check::new(set_up.front.key.clone(), Arc::clone(&denylist))),
        store: Arc::clone(&store),
    };
    let http = http_options(&set_up.config)?;
    let server = runtime
        .block_on(Server::bind(http, parts))
        .map_err(Error::shown)?;
    for address in server.addresses() {
        info!(%address, "listening");
    }
    let (orders, inbox) = channel();
    let wake = Arc::new(Notify::new());
    let (stop, stopped) = watch::channel(false);
    let keys = runtime.block_on(first_keys(&mut set_up, &orders, &readiness, &runtime))?;
    let shared = Shared {
        store,
        denylist,
        metrics,
        readiness,
        wake,
        keys,
    };
    let dispatcher = dispatcher(&shared, &receivers)?;
    let served = runtime.spawn(server.run(stopped.clone()));
    let served_until = stopped.clone();
    let delivered = {
        let (wake, mut stopped) = (Arc::clone(&shared.wake), stopped);
        runtime.spawn(dispatcher.run(wake, async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        }))
    };
    let listeners = runtime.block_on(listen(&set_up.config, &shared.metrics, &served_until))?;
    runtime.spawn(signals(orders.clone()));
    let rules = RulesFolder::new(set_up.rules_folder.clone());
    runtime.spawn(rules.watch(RULES_EVERY, orders));
    let mut line = Line::open(set_up, state, shared, receivers, !options.no_fast_path)?;
    let ended = thread::Builder::new()
        .name("line".to_owned())
        .spawn(move || line.run(&inbox))
        .map_err(|error| Error::new(format!("cannot start a thread: {error}")))?
        .join();
    // The last findings are in the outbox: let what can be delivered now be delivered.
    let _ = stop.send(true);
    listeners.finish();
    runtime.block_on(async {
        let _ = delivered.await;
        let _ = served.await;
    });
    match ended {
        Ok(outcome) => outcome.map(|()| 0),
        Err(_) => Err(Error::new(
            "the thread that judges lines ended unexpectedly; please report",
        )),
    }
}

/// Diagnostics go to stderr, RUST_LOG says which: events and errors unless told otherwise.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A second daemon in one process keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Masked)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

fn http_options(config: &Config) -> Result<Options, Error> {
    let secret = config
        .server
        .viewer_secret
        .as_ref()
        .map(|secret| secret.read());
    Ok(Options {
        listen: Some(config.server.listen),
        check_listen: config.server.check_listen,
        metrics_listen: config.server.metrics_listen,
        viewer_secret: secret.transpose().map_err(Error::shown)?,
    })
}

/// Starts the sources that send.
async fn listen(
    config: &Config,
    metrics: &Arc<Metrics>,
    stopped: &watch::Receiver<bool>,
) -> Result<Listeners, Error> {
    let listeners: Vec<Listener> = config
        .sources
        .iter()
        .filter_map(|source| source.listen.clone())
        .collect();
    let metrics = Arc::clone(metrics);
    let counter: Counter = Arc::new(move |name, count, times| match count {
        Count::Received => metrics.received(name, times),
        Count::Dropped(reason) => metrics.not_received(name, reason, times),
    });
    let started = Listeners::start(&listeners, counter, start_thread, stopped.clone()).await;
    let started = started.map_err(Error::shown)?;
    for listener in &listeners {
        info!(source = %listener.listen, spool = %listener.spool.display(), "receiving");
    }
    Ok(started)
}

fn start_thread(
    name: &str,
    work: Box<dyn FnOnce() + Send>,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Starts fetching key sets, and waits a while for the first of each.
async fn first_keys(
    set_up: &mut SetUp,
    orders: &Sender<Order>,
    readiness: &Readiness,
    runtime: &tokio::runtime::Runtime,
) -> Result<crate::issuers::KeyRequests, Error> {
    let mut sources = Vec::new();
    for issuer in &set_up.config.issuers {
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
    let mut missing: std::collections::BTreeSet<Arc<str>> = sources
        .iter()
        .map(|source| Arc::clone(&source.issuer))
        .collect();
    let refresher = Refresher::new(sources, Pace::default()).map_err(Error::shown)?;
    let requests = refresher.requests();
    let (first, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let orders = orders.clone();
    runtime.spawn(refresher.run(move |keys: FetchedKeys| {
        let _ = first.send(Arc::clone(&keys.issuer));
        // The thread of lines is gone only when the daemon ends.
        let _ = orders.send(Order::Keys(keys));
    }));
    let deadline = Instant::now() + FIRST_KEYS;
    while !missing.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, arrivals.recv()).await {
            Ok(Some(issuer)) => {
                missing.remove(&issuer);
            }
            Ok(None) => break,
            Err(_) => {
                let names: Vec<&str> = missing.iter().map(|issuer| &**issuer).collect();
                warn!(
                    issuers = names.join(" "),
                    "no key set yet: their tokens are not verified"
                );
                readiness.not_ready("keys", format!("no key set of {}", names.join(", ")));
                return Ok(requests);
            }
        }
    }
    readiness.ready("keys");
    Ok(requests)
}

fn dispatcher(shared: &Shared, receivers: &Receivers) -> Result<Arc<Dispatcher>, Error> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed)
        .map_err(|error| Error::new(format!("the system gives no random bytes: {error}")))?;
    let metrics = Arc::clone(&shared.metrics);
    let watcher: dispatch::Watcher = Arc::new(move |delivery, outcome| {
        answer::count_delivery(&metrics, delivery, outcome);
    });
    Ok(Arc::new(Dispatcher {
        store: Arc::clone(&shared.store),
        denylist: Arc::clone(&shared.denylist),
        providers: receivers.providers.clone(),
        sinks: receivers.sinks.clone(),
        backoff: Backoff {
            seed: u64::from_le_bytes(seed),
            ..Backoff::default()
        },
        watcher,
    }))
}

/// SIGTERM and SIGINT stop, SIGHUP reads the rules again.
async fn signals(orders: Sender<Order>) {
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ];
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = kinds.map(signal) else {
        error!("signals cannot be heard; end the daemon with SIGKILL, it loses nothing");
        return;
    };
    loop {
        let order = tokio::select! {
            _ = terminate.recv() => Order::Stop,
            _ = interrupt.recv() => Order::Stop,
            _ = hangup.recv() => Order::Rules,
        };
        if orders.send(order).is_err() {
            return;
        }
    }
}

/// The wall clock, for what is not judged by it.
fn wall() -> Time {
    now()
}
