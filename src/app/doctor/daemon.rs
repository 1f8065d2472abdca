//! Is the port free, or our own daemon's, and what does its `/v1/check` see?
//!
//! In: `[server]`. Out: a line for the port, one for the daemon and one for what gateways ask.
//! Does not know: how the daemon answers; it is asked as Prometheus would.

use super::Report;
use crate::config::Config;
use crate::outbound::Caller;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

/// What gateways asked, by answer, and what became of the tokens before any log line.
const CHECKS: &str = "tokentrip_checks_total";
const PRESENTED: &str = "tokentrip_presented_total";

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
pub(in crate::app) fn reachable(mut at: SocketAddr) -> SocketAddr {
    if at.ip().is_unspecified() {
        let loopback = if at.is_ipv4() { "127.0.0.1" } else { "::1" };
        at.set_ip(loopback.parse().unwrap_or(at.ip()));
    }
    at
}

/// The sum of a metric over the rows with this word.
fn sum(metrics: &str, name: &str, word: &str) -> u64 {
    let rows = metrics.lines();
    let rows = rows.filter(|row| row.starts_with(name) && row.contains(word));
    rows.filter_map(|row| row.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

fn checks(metrics: &str, report: &mut Report) {
    let (allowed, denied) = (
        sum(metrics, CHECKS, "allowed"),
        sum(metrics, CHECKS, "denied"),
    );
    if allowed + denied == 0 {
        report.warn(
            "check",
            "no gateway has asked /v1/check yet: a stolen token is found and not refused",
            "deploy/gateways has the lines for each gateway",
        );
        return;
    }
    let asked = format!(
        "gateways asked {} times, {denied} refused",
        allowed + denied
    );
    report.ok("check", asked);
    for (outcome, what, hint) in [
        (
            "untrusted",
            "tokens were asked about by somebody who is not trusted to name clients: they are only found in the log",
            "name the gateway's address in `trusted_proxies` of [server]",
        ),
        (
            "no_client",
            "tokens were asked about without a client: they are only found in the log",
            "have the gateway send X-Forwarded-For, as the recipes in deploy/gateways do",
        ),
    ] {
        if sum(metrics, PRESENTED, outcome) > 0 {
            report.warn("check", what, hint);
        }
    }
}
