//! Connections: how many, how long, how large.
//!
//! In: a listener and what answers. Out: answers. Does not know: any path.
//! Source: slow requests, CVE-2007-6750 (Slowloris); RFC 9113, section 3.4 (how HTTP/2 begins).

use axum::{Extension, Router};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections at once. A gateway keeps one for each of its workers' requests under way; more wait
/// in the system's queue.
const CONNECTIONS_MAX: usize = 1024;

/// Longest wait for the head of a request, and so for the next one on an idle connection. Longer
/// than a gateway's pause between requests, short enough to lose those who only hold connections.
const HEAD_WAIT: Duration = Duration::from_secs(30);

/// Longest head of a request: twice the 32 KiB that nginx takes (`large_client_header_buffers 4
/// 8k`), since a gateway adds headers of its own.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How a connection of HTTP/2 begins (`PRI * HTTP/2.0`), as far as no method of HTTP/1 does: `PRI` is none.
const HTTP2_BEGINS: &[u8] = b"PRI ";

/// Requests at once on one connection of HTTP/2: Envoy has one connection for each of its threads.
const STREAMS_MAX: u32 = 1024;

/// Longest wait at the end for answers under way; the slowest takes a page of the store.
const DRAIN: Duration = Duration::from_secs(5);

/// After an accept that failed, mostly for want of file descriptors: time for some to come back.
const PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of the connection: an extension of each of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

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
        let (Ok((stream, peer)), Ok(place)) = (accepted, place) else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let routes = routes.clone().layer(Extension(Peer(peer.ip())));
        let shutdown = shutdown.clone();
        open.spawn(async move {
            serve(stream, routes, shutdown).await;
            drop(place);
        });
    }
    drop(listener);
    let drained = async { while open.join_next().await.is_some() {} };
    // What is not done by then is cut off with the set.
    let _ = timeout(DRAIN, drained).await;
}

async fn serve(stream: TcpStream, routes: Router, mut shutdown: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let begun = tokio::select! {
        begun = timeout(HEAD_WAIT, speaks_http2(&stream)) => begun,
        _ = shutdown.wait_for(|stop| *stop) => return,
    };
    let Ok(Ok(is_http2)) = begun else { return };
    let (stream, service) = (TokioIo::new(stream), TowerToHyperService::new(routes));
    // Errors are those of the other side: it hung up, or spoke no HTTP and was told so.
    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(HEAD_WAIT)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .max_concurrent_streams(STREAMS_MAX)
            .serve_connection(stream, service);
        drive(
            connection,
            |connection| connection.graceful_shutdown(),
            shutdown,
        )
        .await;
        return;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(stream, service);
    drive(
        connection,
        |connection| connection.graceful_shutdown(),
        shutdown,
    )
    .await;
}

/// Serves until the other side has what it wants; told to stop, lets what is under way end.
async fn drive<C: Future>(
    connection: C,
    end: fn(Pin<&mut C>),
    mut shutdown: watch::Receiver<bool>,
) {
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = shutdown.wait_for(|stop| *stop) => end(connection.as_mut()),
    }
    let _ = connection.await;
}

/// True when the connection begins as HTTP/2 does, which no method of HTTP/1 looks like.
async fn speaks_http2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut begin = [0; HTTP2_BEGINS.len()];
    loop {
        let count = stream.peek(&mut begin).await?;
        let seen = begin.get(..count).unwrap_or_default();
        if seen.is_empty() || count == begin.len() || !HTTP2_BEGINS.starts_with(seen) {
            return Ok(seen == HTTP2_BEGINS);
        }
        // A few bytes are there, and nothing says when more are.
        tokio::time::sleep(PAUSE).await;
    }
}
