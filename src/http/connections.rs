//! Connections: how many, how long, how large.
//!
//! In: a listener and what answers. Out: answers. Does not know: any path.
//! Source: slow requests, CVE-2007-6750 (Slowloris).

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once. A gateway keeps one for each of its workers' requests under way; more wait
/// in the system's queue.
const CONNECTIONS_MAX: usize = 1024;

/// Longest wait for the head of a request, and so for the next one on an idle connection. Longer
/// than a gateway's pause between requests, short enough to lose those who only hold connections.
const HEAD_WAIT: Duration = Duration::from_secs(30);

/// Longest head of a request: twice the 32 KiB that nginx takes (`large_client_header_buffers 4
/// 8k`), since a gateway adds headers of its own.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Longest wait at the end for answers under way; the slowest takes a page of the store.
const DRAIN: Duration = Duration::from_secs(5);

/// After an accept that failed, mostly for want of file descriptors: time for some to come back.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers on every connection until `shutdown`, then finishes what was begun.
pub(super) async fn accept(
    listener: TcpListener,
    routes: Router,
    mut shutdown: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    loop {
        let next = async {
            let place = room.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            // True, or nobody is left who could say it.
            _ = shutdown.wait_for(|stop| *stop) => break,
            next = next => next,
        };
        while open.try_join_next().is_some() {}
        let (Ok((stream, _)), Ok(place)) = (accepted, place) else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (routes, shutdown) = (routes.clone(), shutdown.clone());
        open.spawn(async move {
            serve(stream, routes, shutdown).await;
            drop(place);
        });
    }
    drop(listener);
    let drained = async { while open.join_next().await.is_some() {} };
    // What is not done by then is cut off with the set.
    let _ = tokio::time::timeout(DRAIN, drained).await;
}

async fn serve(stream: TcpStream, routes: Router, mut shutdown: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = std::pin::pin!(connection);
    // Errors are those of the other side: it hung up, or spoke no HTTP and was told so.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = shutdown.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
