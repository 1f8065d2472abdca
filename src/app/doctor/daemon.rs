//! Is the port free, or our own daemon's, and what does its `/v1/check` see?
//!
//! In: `[server]`. Out: a line for the port, one for the daemon and one for what gateways ask.
//! Does not know: how the daemon answers; it is asked as Prometheus would.

use super::Report;
use crate::config::Config;
use crate::outbound::Caller;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

/// What gateways asked, by answer.
const CHECKS: &str = "tokentrip_checks_total";

pub(super) async fn look(config: &Config, report: &mut Report) {
    let server = &config.server;
    let metrics_at = server.metrics_listen.unwrap_or(server.listen);
    if let Some(metrics) = metrics(metrics_at).await {
        report.ok("server", format!("a daemon answers on {metrics_at}"));
        checks(&metrics, report);
        return;
    }
    let all = [
        Some(server.listen),
        server.check_listen,
        server.metrics_listen,
    ];
    for address in all.into_iter().flatten() {
        port(address, report);
    }
    report.warn(
        "check",
        "no daemon is running, so nothing is followed and no token is refused",
        "tokentrip watch --config FILE, or the unit file in deploy/systemd",
    );
}

fn port(address: SocketAddr, report: &mut Report) {
    match TcpListener::bind(address) {
        Ok(_) => report.ok("server", format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => report.fail(
            "server",
            format!("{address} is in use by another program"),
            "set another address in [server], or stop that program",
        ),
        Err(error) => report.fail(
            "server",
            format!("cannot listen on {address}: {error}"),
            "set another address in [server]",
        ),
    }
}

/// The metrics of a daemon of ours, if one answers there.
async fn metrics(at: SocketAddr) -> Option<String> {
    let caller = Caller::new().ok()?;
    let address = format!("http://{}/metrics", reachable(at));
    let answer = caller.send(caller.client().get(address)).await.ok()?;
    let text = String::from_utf8(answer.body).ok()?;
    text.contains("tokentrip_build_info").then_some(text)
}

/// Who listens everywhere answers on loopback, too.
fn reachable(mut at: SocketAddr) -> SocketAddr {
    if at.ip().is_unspecified() {
        let loopback = if at.is_ipv4() { "127.0.0.1" } else { "::1" };
        at.set_ip(loopback.parse().unwrap_or(at.ip()));
    }
    at
}

fn checks(metrics: &str, report: &mut Report) {
    let of = |answer: &str| -> u64 {
        let rows = metrics
            .lines()
            .filter(|row| row.starts_with(CHECKS) && row.contains(answer));
        rows.filter_map(|row| row.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    };
    let (allowed, denied) = (of("allowed"), of("denied"));
    if allowed + denied == 0 {
        report.warn(
            "check",
            "no gateway has asked /v1/check yet: a stolen token is found and not refused",
            "deploy/gateways has the lines for each gateway",
        );
    } else {
        report.ok(
            "check",
            format!(
                "gateways asked {} times, {denied} refused",
                allowed + denied
            ),
        );
    }
}
