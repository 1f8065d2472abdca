//! SHELL: what others can ask over HTTP: metrics, health, whether a token is denied, incidents, the console.
//!
//! In: [`Options`] and the [`Parts`] that know the answers. Out: a [`Server`] that runs until told
//! to stop.
//! Does not know: how anything was found. All that changes something is a named approver's word about an incident.
//! Source: the contract's endpoints; OWASP HTTP Headers Cheat Sheet.

mod check;
mod connections;
mod console;
mod events;
mod fault;
mod guard;
mod health;
mod incidents;
mod samples;
mod signals;
mod status;

pub use check::{Check, Seen, Sensor};
pub use health::Readiness;
pub use samples::Samples;
pub use status::{Farewell, InForce, RuleShown, Settled};

use crate::metrics::Metrics;
use crate::response::providers::caep::Stream;
use crate::store::Store;
use axum::Router;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware;
use axum::response::Response;
use guard::{Approvers, Viewer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Where to listen, and what viewers must show.
#[derive(Clone, Default)]
pub struct Options {
    /// For everything that has no address of its own; `None` for nowhere.
    pub listen: Option<SocketAddr>,
    /// For `/v1/check`, where it is apart.
    pub check_listen: Option<SocketAddr>,
    /// For `/metrics`, `/healthz` and `/readyz`, where they are apart.
    pub metrics_listen: Option<SocketAddr>,
    /// What a viewer of incidents must show as a bearer token.
    pub viewer_secret: Option<String>,
    /// Who may decide about incidents, and what they must show.
    pub approvers: Vec<(String, String)>,
}

/// Who knows the answers.
#[derive(Clone)]
pub struct Parts {
    /// `/metrics`.
    pub metrics: Arc<Metrics>,
    /// `/readyz`.
    pub readiness: Arc<Readiness>,
    /// `/v1/check`.
    pub check: Arc<Check>,
    /// `/v1/incidents`.
    pub store: Arc<Store>,
    /// `/ssf/poll` and what is published for receivers of security events.
    pub streams: Vec<Stream>,
    /// `/v1/rules`.
    pub in_force: Arc<InForce>,
    /// Lines that were skipped, in `/v1/status`.
    pub samples: Arc<Samples>,
}

/// Why there is no server. Its text is meant for people as it is.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Somebody else has the port, or the address is not ours.
    #[error("error: cannot listen on {address}: {source}\n  = help: {}", advice(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Anybody could read incidents.
    #[error(
        "error: {address} can be reached from outside, and anybody could read incidents\n  \
         = help: set `viewer_secret_file` in [server], or listen on 127.0.0.1"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "is tokentrip running already? Else choose another port: `listen` in [server], or \
             TOKENTRIP_SERVER_LISTEN"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose another",
        _ => "choose another address: `listen` in [server], or TOKENTRIP_SERVER_LISTEN",
    }
}

/// Sockets that are open, with what answers on each.
pub struct Server {
    listeners: Vec<(TcpListener, Router)>,
    /// Ends the streams of events, which would go on for ever.
    stopping: watch::Sender<bool>,
}

impl Server {
    /// Opens the sockets. Connections wait until [`Server::run`].
    ///
    /// # Errors
    /// When an address cannot be had, or incidents would be open to the world.
    pub async fn bind(options: Options, parts: Parts) -> Result<Self, HttpError> {
        let viewer = options.viewer_secret.as_deref().map(Viewer::new);
        if let Some(address) = options.listen
            && !address.ip().is_loopback()
            && viewer.is_none()
        {
            return Err(HttpError::Open { address });
        }
        let signals = signals::routes(parts.streams, parts.store.clone());
        let (stopping, stopped) = watch::channel(false);
        let known = status::Known {
            metrics: Arc::clone(&parts.metrics),
            readiness: Arc::clone(&parts.readiness),
            store: Arc::clone(&parts.store),
            in_force: Arc::clone(&parts.in_force),
            samples: parts.samples,
            approvers: !options.approvers.is_empty(),
        };
        let beside = status::routes(known).merge(events::routes(Arc::clone(&parts.store), stopped));
        let desk = incidents::Desk {
            store: parts.store,
            approvers: Approvers::new(&options.approvers),
            in_force: parts.in_force,
        };
        let mut main = incidents::routes(desk, viewer, beside);
        main = main.merge(console::routes()).merge(signals);
        let check = check::routes(parts.check.clone(), parts.metrics.clone());
        let health = health::routes(parts.metrics, parts.readiness, parts.check);
        let mut apart = Vec::new();
        for (address, routes) in [
            (options.check_listen, check),
            (options.metrics_listen, health),
        ] {
            match address {
                Some(address) => apart.push((address, routes)),
                None => main = main.merge(routes),
            }
        }
        let mut listeners = Vec::new();
        for (address, routes) in options
            .listen
            .map(|address| (address, main))
            .into_iter()
            .chain(apart)
        {
            let bound = TcpListener::bind(address).await;
            let listener = bound.map_err(|source| HttpError::Bind { address, source })?;
            let routes = routes.fallback(fault::not_found);
            let routes = routes.layer(middleware::map_response(with_security_headers));
            listeners.push((listener, routes));
        }
        Ok(Self {
            listeners,
            stopping,
        })
    }

    /// The addresses, in the order of [`Options`]: with port 0 asked for, those that were given.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let bound = self.listeners.iter();
        bound
            .filter_map(|(listener, _)| listener.local_addr().ok())
            .collect()
    }

    /// Answers until `shutdown` says true or its sender is gone; then finishes what was begun.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let mut running = tokio::task::JoinSet::new();
        let (mut told, stopping) = (shutdown.clone(), self.stopping);
        running.spawn(async move {
            // Also when nobody is left who could say it.
            let _ = told.wait_for(|stop| *stop).await;
            stopping.send_replace(true);
        });
        for (listener, routes) in self.listeners {
            running.spawn(connections::accept(listener, routes, shutdown.clone()));
        }
        while running.join_next().await.is_some() {}
    }
}

/// No browser may cache, frame or sniff any of it, nor run any but what a page's own policy allows.
async fn with_security_headers(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in HEADERS {
        let headers = response.headers_mut();
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
pub(crate) use console::script as console_script;
#[cfg(test)]
mod tests;
