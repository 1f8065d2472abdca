//! The report and the console as somebody sees them, in a real Chromium.
//!
//! In: real logs, a running daemon, a real nginx. Out: what the scripts of `browser/` complain about, which must be nothing:
//! console errors, dialogs, requests to elsewhere, violations of the policy, serious findings of axe, light and dark, from
//! 360 to 1600 pixels.

use crate::support::browser::Browser;
use crate::support::daemon::{Daemon, tokentrip, until};
use crate::support::logs::{
    BROWSER, ISSUER, LISBON, MORNING_S, OTHER_BROWSER, TOKYO, claims, line, theft,
};
use crate::support::mint::mint;
use crate::support::nginx::Nginx;
use axum::Router;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::TempDir;
use tokentrip::domain::incident::Incident;
use tokentrip::domain::time::Time;
use tokentrip::store::{Batch, Store};
use tokio::net::TcpListener;

/// Ends a script, an attribute and a comment, and asks for a script in every way that once worked.
const HOSTILE: &str = "\"'><img src=x onerror=stolen()><script>stolen()</script></script><svg/onload=stolen()>\
                       javascript:stolen()//<!--{{stolen()}}";

/// What may pass from the start of a page to its being there, with a core for the browser.
const OPENED_MS_MAX: f64 = 2000.0;

/// Scans and gives the report.
fn report(folder: &Path, arguments: &[&str]) -> PathBuf {
    let report = folder.join("report.html");
    let scan = tokentrip()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["scan", "--output", "ndjson", "--summary", "--report"])
        .arg(&report)
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&scan.stderr);
    assert!(matches!(scan.status.code(), Some(0 | 1)), "{said}");
    report
}

/// The data in a report.
fn data(report: &Path) -> Value {
    let page = fs::read_to_string(report).unwrap();
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

/// How many programs want each core now, one at least.
fn crowd() -> f64 {
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let running: f64 = load.split(' ').next().unwrap().parse().unwrap();
    // The average of a minute does not know of what has just begun beside it.
    (running / cores).max(1.5)
}

#[test]
fn the_report_of_the_stories_is_whole_and_at_peace_with_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(folder.path(), &["sample-logs"]);
    let data = data(&report);
    let incidents = data["incidents"].as_array().unwrap();
    assert!(incidents.len() > 8);
    for incident in incidents {
        let journey = incident["journey"].as_array().unwrap();
        let suspect = |stop: &&Value| stop["side"] == "suspect";
        assert!(journey.iter().any(|stop| suspect(&stop)), "{incident}");
        for id in incident["findings"].as_array().unwrap() {
            let finding = &data["findings"][id.as_str().unwrap()];
            let evidence = &finding["evidence"][0];
            let (file, offset) = (&evidence["file"], &evidence["offset"]);
            let line = &data["lines"][format!("{}:{offset}", file.as_str().unwrap())];
            assert!(line.is_string(), "{finding}");
        }
    }
    let page = fs::read_to_string(&report).unwrap();
    assert!(!page.contains("eyJ"), "no token stands in it");
    let browser = Browser::run(
        "report",
        &[report.to_str().unwrap(), &incidents.len().to_string()],
    );
    browser.ends_well();
}

#[test]
fn a_report_of_a_thousand_incidents_is_small_and_opens_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let thefts = |count: i64| -> String {
        (0..count)
            .map(|no| theft(&format!("person-{no}@example.com"), MORNING_S + no * 7))
            .collect()
    };
    let log = folder.path().join("access.log");
    fs::write(&log, thefts(100)).unwrap();
    let small = report(folder.path(), &[log.to_str().unwrap()]);
    let incidents = data(&small)["incidents"].as_array().unwrap().len();
    assert!(incidents >= 100);
    assert!(fs::metadata(&small).unwrap().len() < 2_000_000);

    fs::write(&log, thefts(1000)).unwrap();
    let large = report(folder.path(), &[log.to_str().unwrap()]);
    let incidents = data(&large)["incidents"].as_array().unwrap().len();
    assert!(incidents >= 1000);
    let within_ms = format!("{:.0}", OPENED_MS_MAX * crowd());
    let arguments = [large.to_str().unwrap(), &incidents.to_string(), &within_ms];
    Browser::run("report", &arguments).ends_well();
}

#[test]
fn a_report_without_names_shows_none() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--pseudonymise", "sample-logs/impossible_travel"];
    let report = report(folder.path(), &arguments);
    let page = fs::read_to_string(report).unwrap();
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    for name in ["alice@example.com", "192.0.2.10", "203.0.113.99"] {
        assert!(!data.contains(name), "{name}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_told_of_before_anything_is_read() {
    let scan = tokentrip()
        .args(["scan", "--report", "/nowhere/report.html", "sample-logs"])
        .output()
        .unwrap();
    assert_eq!(scan.status.code(), Some(2));
    let said = String::from_utf8_lossy(&scan.stderr);
    assert!(
        said.contains("cannot write a report to /nowhere/report.html"),
        "{said}"
    );
    assert!(scan.stdout.is_empty());
}

/// A theft in whose every text somebody wrote markup, at `from_s`.
fn hostile_log(from_s: i64) -> String {
    let mut claims = claims(HOSTILE, from_s - 600);
    claims["jti"] = json!(format!("{HOSTILE}-jti"));
    claims["sid"] = json!(format!("{HOSTILE}-sid"));
    let token = mint(&claims, "rsa-2048");
    let path = format!("/api/{HOSTILE}/x");
    let mut log = String::new();
    for step in 0..6 {
        log += &line(from_s + step * 30, LISBON, BROWSER, "/api/orders", &token);
    }
    for step in 0..3 {
        log += &line(
            from_s + 400 + step,
            TOKYO,
            &format!("Evil {HOSTILE}/1.0"),
            &path,
            &token,
        );
    }
    log
}

/// The built-in rules, with hostile titles.
fn hostile_rules(folder: &Path) -> PathBuf {
    let rules = folder.join("rules");
    fs::create_dir(&rules).unwrap();
    let title = serde_json::to_string(&format!("Rule {HOSTILE}")).unwrap();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.starts_with("title:"), "{}", path.display());
        fs::write(
            rules.join(path.file_name().unwrap()),
            format!("title: {title}\n{rest}"),
        )
        .unwrap();
    }
    rules
}

#[test]
fn nothing_that_a_log_or_a_rule_says_runs_in_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    fs::write(&log, hostile_log(MORNING_S)).unwrap();
    let rules = hostile_rules(folder.path());
    let rules = rules.to_str().unwrap();
    let report = report(folder.path(), &["--rules", rules, log.to_str().unwrap()]);
    let url = format!("file://{}", report.display());
    Browser::run("hostile", &[&url, &url]).ends_well();
}

#[test]
fn nothing_that_a_log_or_a_rule_says_runs_in_the_console() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("access.log"), hostile_log(now_s() - 500)).unwrap();
    hostile_rules(folder.path());
    let config = "[[source]]\npath = \"access.log\"\nread_from = \"beginning\"\n\
                  [rules]\nfolder = \"rules\"\n[state]\nfolder = \"state\"\n";
    let daemon = Daemon::start(folder.path(), config);
    until("the incident", || {
        (!daemon.incidents().is_empty()).then_some(())
    });
    let own = format!("http://127.0.0.1:{}/", daemon.port);
    Browser::run("hostile", &[&own, &own]).ends_well();
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs() as i64
}

/// An API that lets everybody in; its port.
async fn api() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let routes = Router::new().fallback(|| async { "ok" });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    port
}

/// A daemon that waits for approval, nginx before an API, and a token that two use.
struct Scene {
    folder: TempDir,
    daemon: Daemon,
    nginx: Nginx,
    token: String,
}

impl Scene {
    /// With more in the configuration, and files that it names.
    async fn start(more: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = include_str!("fixtures/keys/public.jwks.json");
        for (name, text) in [&[("jwks.json", keys)], files].concat() {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let config = format!(
            "[[source]]\npath = \"access.log\"\ntrusted_proxies = [\"127.0.0.1\"]\n\
             [[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"jwks.json\"\nprotected_paths = [\"/api/\"]\n\
             {more}[response]\nmode = \"approve\"\n[state]\nfolder = \"state\"\n"
        );
        let daemon = Daemon::start(folder.path(), &config);
        Self {
            nginx: Nginx::start(folder.path(), daemon.port, api().await),
            token: mint(&claims("alice@example.com", now_s() - 60), "rsa-2048"),
            folder,
            daemon,
        }
    }

    fn console(&self) -> String {
        format!("http://127.0.0.1:{}/", self.daemon.port)
    }

    fn holder(&self) -> u16 {
        self.ask("/api/orders", LISBON, BROWSER)
    }

    fn thief(&self) -> u16 {
        self.ask("/api/export", TOKYO, OTHER_BROWSER)
    }

    /// What nginx answers. Where the daemon says nothing for 250 ms, as on a machine that is busy with other tests, nginx
    /// refuses with 500: then the client tries again.
    fn ask(&self, path: &str, address: &str, agent: &str) -> u16 {
        let ask = || self.nginx.ask(path, address, agent, &self.token);
        let mut answers = std::iter::repeat_with(ask).take(20);
        answers.find(|status| *status != 500).unwrap_or(500)
    }

    fn thief_is_refused(&self) {
        until("the thief is refused", || {
            (self.thief() == 401).then_some(())
        });
    }

    fn token_is_good_again(&self) {
        until("the token is good again", || {
            (self.holder() == 200).then_some(())
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_theft_appears_in_the_console_and_so_does_what_is_decided_about_it() {
    let scene = Scene::start("", &[]).await;
    let mut browser = Browser::run("console", &[&scene.console()]);
    browser.says("open");
    (0..5).for_each(|_| assert_eq!(scene.holder(), 200));
    assert_eq!(scene.thief(), 200, "nobody approved anything yet");
    browser.says("appeared");
    browser.says("shown");
    decide(scene.folder.path(), &scene.daemon, "approve");
    scene.thief_is_refused();
    browser.says("contained");
    decide(scene.folder.path(), &scene.daemon, "undo");
    browser.says("undone");
    scene.token_is_good_again();
    browser.ends_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_decides_in_the_console_and_nginx_obeys() {
    const SECRET: &str = "an approver's secret";
    let approver = "[[approver]]\nname = \"ann\"\nsecret_file = \"secret\"\n";
    let scene = Scene::start(approver, &[("secret", SECRET)]).await;
    let mut browser = Browser::run("decide", &[&scene.console(), SECRET]);
    browser.says("open");
    (0..5).for_each(|_| assert_eq!(scene.holder(), 200));
    assert_eq!(scene.thief(), 200, "nobody approved anything yet");
    browser.says("contained");
    scene.thief_is_refused();
    browser.says("undone");
    scene.token_is_good_again();
    browser.says("closed");
    browser.ends_well();
    let stored = fs::read(scene.folder.path().join("state/store.db")).unwrap();
    let holds = |text: &str| memchr::memmem::find(&stored, text.as_bytes()).is_some();
    assert!(!holds(SECRET), "a secret is compared, and kept nowhere");
}

#[test]
fn a_console_of_ten_thousand_incidents_shows_the_newest_at_once_and_pages_on() {
    const COUNT: u32 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(folder.path().join("access.log"), "").unwrap();
    let text = include_str!("fixtures/sinks/webhook/incident.json");
    let model: Value = serde_json::from_str(text).unwrap();
    let incidents: Vec<Incident> = (0..COUNT)
        .map(|no| {
            let mut incident = model.clone();
            incident["id"] = json!(format!("i-{no:020x}"));
            let at = Time::default().plus_ms(1_777_888_800_000 + i64::from(no) * 1000);
            (incident["opened"], incident["updated"]) =
                (json!(at.to_string()), json!(at.to_string()));
            serde_json::from_value(incident).unwrap()
        })
        .collect();
    let store = Store::open(&state.join("store.db")).unwrap();
    let batch = Batch {
        findings: &[],
        incidents: &incidents,
        deliveries: &[],
    };
    let now = Time::from_ms(now_s() * 1000).unwrap();
    store.record(batch, now).unwrap();
    drop(store);
    let config = "[[source]]\npath = \"access.log\"\n[state]\nfolder = \"state\"\n";
    let daemon = Daemon::start(folder.path(), config);
    let own = format!("http://127.0.0.1:{}/", daemon.port);
    let within_ms = format!("{:.0}", OPENED_MS_MAX * crowd());
    let newest = format!("i-{:020x}", COUNT - 1);
    Browser::run("many", &[&own, &newest, &within_ms]).ends_well();
}

/// Somebody decides about the one incident there is, on the command line.
fn decide(folder: &Path, daemon: &Daemon, what: &str) {
    let incident = daemon.incidents().remove(0);
    let id = incident["id"].as_str().unwrap();
    let mut command = tokentrip();
    command.args(["incidents", what, id, "--config"]);
    let status = command.arg(folder.join("tokentrip.toml")).status();
    assert!(status.unwrap().success());
}
