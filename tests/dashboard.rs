//! The dashboard of Grafana, against a real Prometheus that scraped a real daemon.
//!
//! In: `deploy/grafana/tokentrip.json`, `deploy/prometheus/scrape.yml`, a log with thefts. Out: every query gives numbers,
//! and names only metrics there are. Does not know: Grafana, which Debian does not have; its variables are filled in here.

use crate::support::daemon::{Daemon, free_port, get, until};
use crate::support::hook::Hook;
use crate::support::logs::{BROWSER, ISSUER, LISBON, OTHER_BROWSER, TOKYO, claims, line};
use crate::support::mint::mint;
use crate::support::shipped;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;
use tokentrip::metrics;

const DASHBOARD: &str = include_str!("../deploy/grafana/tokentrip.json");
const SCRAPE: &str = include_str!("../deploy/prometheus/scrape.yml");
const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Every query, with the title of its panel.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(move |target| {
            (
                title.to_owned(),
                target["expr"].as_str().unwrap().to_owned(),
            )
        })
    });
    targets.collect()
}

#[test]
fn the_dashboard_names_only_metrics_there_are() {
    let name = regex::Regex::new(r"tokentrip_(\w+)").unwrap();
    for (title, query) in queries() {
        for found in name.captures_iter(&query) {
            let found = found[1].trim_end_matches("_bucket");
            let known = metrics::ALL.iter().any(|metric| metric.name == found);
            assert!(known, "{title}: {found}");
        }
    }
}

/// A running Prometheus, killed when it is dropped.
struct Prometheus {
    port: u16,
    child: Child,
}

impl Prometheus {
    /// Scrapes the daemon every second, as `scrape.yml` says otherwise.
    fn start(folder: &Path, daemon: u16) -> Self {
        let config = SCRAPE
            .replace("127.0.0.1:9797", &format!("127.0.0.1:{daemon}"))
            .replace("scrape_interval: 15s", "scrape_interval: 1s");
        assert!(config.contains(&daemon.to_string()) && config.contains(": 1s"));
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let port = free_port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is installed by tests/all (Debian: apt-get install prometheus)");
        Self { port, child }
    }

    /// Numbers that a query gives now.
    fn ask(&self, query: &str) -> Vec<f64> {
        let mut url = reqwest::Url::parse("http://localhost/api/v1/query").unwrap();
        url.query_pairs_mut().append_pair("query", query);
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        let Some((200, body)) = get(self.port, &path, &[("Accept-Encoding", "identity")]) else {
            return Vec::new();
        };
        let start = body.find('{').unwrap();
        let end = body.rfind('}').unwrap();
        let answer: Value = serde_json::from_str(&body[start..=end]).unwrap();
        let results = answer["data"]["result"].as_array().unwrap().iter();
        let values = results.map(|one| one["value"][1].as_str().unwrap().parse::<f64>().unwrap());
        values.filter(|value| !value.is_nan()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It ends only so.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs() as i64
}

/// Somebody works, a thief comes, and a line is no line.
fn theft(log: &mut File, sub: &str) {
    let now_s = now_s();
    let token = mint(&claims(sub, now_s - 600), "rsa-2048");
    let mut text = "no line at all\n".to_owned();
    for step in 0..5 {
        text += &line(now_s - 300 + step, LISBON, BROWSER, "/api/orders", &token);
    }
    text += &line(now_s, TOKYO, OTHER_BROWSER, "/api/export", &token);
    log.write_all(text.as_bytes()).unwrap();
}

#[test]
fn every_query_of_the_dashboard_gives_numbers() {
    if !shipped(&["network_and_client_changed"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::start(|_, _| Some(200));
    let keys = include_str!("fixtures/keys/public.jwks.json");
    fs::write(folder.path().join("jwks.json"), keys).unwrap();
    fs::write(folder.path().join("hook.secret"), HOOK_SECRET).unwrap();
    let mut log = File::create(folder.path().join("access.log")).unwrap();
    let config = format!(
        "[[source]]\npath = \"access.log\"\nformat = \"json\"\n\
         [[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"jwks.json\"\nprotected_paths = [\"/api/\"]\n\
         [response]\nmode = \"enforce\"\n[state]\nfolder = \"state\"\n\
         [[sink]]\nkind = \"webhook\"\nurl = \"{}\"\nsecret_file = \"hook.secret\"\n",
        hook.url
    );
    let daemon = Daemon::start(folder.path(), &config);
    let prometheus = Prometheus::start(folder.path(), daemon.port);
    theft(&mut log, "alice@example.com");
    // A counter must be seen twice, and grow between, before it has a rate.
    until("the first theft at Prometheus", || {
        let seen = prometheus.ask("tokentrip_containment_latency_seconds_count > 0");
        (!seen.is_empty()).then_some(())
    });
    daemon.get("/v1/check").unwrap();
    theft(&mut log, "bob@example.com");
    for (title, query) in queries() {
        let query = query
            .replace("$__rate_interval", "1m")
            .replace("$instance", ".*")
            .replace("$source", ".*");
        until(&format!("numbers for {title}: {query}"), || {
            (!prometheus.ask(&query).is_empty()).then_some(())
        });
    }
}
