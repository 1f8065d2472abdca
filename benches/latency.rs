//! From a line written to its theft told, at 1,000 and at 10,000 lines a second, next to fail2ban on the same file; and
//! what an idle daemon with a hundred files takes.
//!
//! In: real traffic, the real program, fail2ban of Debian. Out: histograms, percentiles, shares of a core, memory.
//! `cargo bench --bench latency`; `TOKENTRIP_LATENCY_S` seconds of each rate, 20 unless told otherwise.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]
#![allow(clippy::print_stdout, reason = "figures are what it is for")]

#[path = "../tests/support"]
mod support {
    #![allow(dead_code, reason = "the tests use the rest")]
    pub(crate) mod daemon;
    pub(crate) mod logs;
    pub(crate) mod mint;
    pub(crate) mod traffic;
}

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::daemon::{free_port, get, tokentrip};
use support::logs::ISSUER;
use support::traffic::{self, Plan, Written};

const RATES: [usize; 2] = [1_000, 10_000];
const IDLE_FILES: usize = 100;
const IDLE: Duration = Duration::from_secs(20);

fn main() {
    // `cargo test --benches` asks for a list of tests, of which there are none.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let seconds = std::env::var("TOKENTRIP_LATENCY_S").ok();
    let length = Duration::from_secs(seconds.map_or(20, |seconds| seconds.parse().unwrap()));
    for rate in RATES {
        follow(rate, length);
    }
    idle();
}

/// A process that ends with the benchmark.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn cpu(&self) -> f64 {
        traffic::cpu_of(Path::new(&format!("/proc/{}/stat", self.0.id())))
    }
}

fn watch(folder: &Path, sources: &str, log: &Path) -> (Running, u16) {
    let port = free_port();
    let keys = include_str!("../tests/fixtures/keys/public.jwks.json");
    fs::write(folder.join("keys.json"), keys).unwrap();
    let config = format!(
        "{sources}[[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"keys.json\"\n\
         [state]\nfolder = \"state\"\n[server]\nlisten = \"127.0.0.1:{port}\"\n"
    );
    fs::write(folder.join("tokentrip.toml"), config).unwrap();
    let daemon = tokentrip()
        .args(["watch", "--config"])
        .arg(folder.join("tokentrip.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log).unwrap())
        .spawn();
    let daemon = Running(daemon.unwrap());
    let ready = || get(port, "/readyz", &[]).is_some_and(|(status, _)| status == 200);
    wait_until(ready);
    (daemon, port)
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// fail2ban with a filter for the thief's path, that does nothing but say what it found.
fn fail2ban(folder: &Path, access: &Path) -> Option<(Running, PathBuf)> {
    let etc = folder.join("fail2ban");
    fs::create_dir_all(etc.join("filter.d")).unwrap();
    fs::create_dir_all(etc.join("action.d")).unwrap();
    let (here, log) = (etc.display(), etc.join("log"));
    let write = |name: &str, text: String| fs::write(etc.join(name), text).unwrap();
    let fail2ban = format!(
        "[Definition]\nloglevel = INFO\nlogtarget = {here}/log\nsyslogsocket = auto\n\
         socket = {here}/socket\npidfile = {here}/pid\ndbfile = None\ndbpurgeage = 1\n"
    );
    write("fail2ban.conf", fail2ban);
    write(
        "filter.d/thief.conf",
        "[Definition]\nfailregex = \"remote_addr\":\"<HOST>\".*\"request_uri\":\"/api/export\"\n\
         datepattern = \"msec\":\"{EPOCH}\n"
            .to_owned(),
    );
    let jail = format!(
        "[thief]\nenabled = true\nbackend = pyinotify\nfilter = thief\nlogpath = {}\nmaxretry = 100000\n\
         findtime = 600\nbantime = 1\naction =\n",
        access.display()
    );
    write("jail.conf", jail);
    let started = Command::new("fail2ban-server")
        .args(["-f", "-x", "-c"])
        .arg(&etc)
        .stdout(Stdio::null())
        .stderr(File::create(etc.join("stderr")).unwrap())
        .spawn();
    let Ok(started) = started else {
        println!("fail2ban is not installed (Debian: apt-get install fail2ban): no comparison");
        return None;
    };
    let started = Running(started);
    let says = |what: &str| fs::read_to_string(&log).is_ok_and(|log| log.contains(what));
    wait_until(|| says("Jail 'thief' started"));
    Some((started, log))
}

/// Traffic into one file, followed by both.
fn follow(rate: usize, length: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let access = folder.path().join("access.log");
    File::create(&access).unwrap();
    let source = format!("[[source]]\npath = \"{}\"\n", access.display());
    let said = folder.path().join("said");
    let (daemon, port) = watch(folder.path(), &source, &said);
    let other = fail2ban(folder.path(), &access);
    let before = (daemon.cpu(), other.as_ref().map(|(other, _)| other.cpu()));
    let plan = Plan {
        lines_per_s: rate,
        thefts_per_s: 10,
        length,
    };
    let written = traffic::write(&[access], &plan);
    // Whoever is behind may catch up for as long again.
    wait_until(|| {
        let caught_up = |(_, log): &(Running, PathBuf)| found(log).len() >= written.thefts.len();
        other.as_ref().is_none_or(caught_up)
    });
    let seconds = length.as_secs_f64();
    println!(
        "\n{rate} lines a second for {seconds} s, {} thefts",
        written.thefts.len()
    );
    let share = (daemon.cpu() - before.0) / seconds * 100.0;
    report(
        "tokentrip",
        &delays(&written, &told(&said, port), |theft| &theft.subject),
        share,
    );
    if let (Some((other, log)), Some(cpu)) = (&other, before.1) {
        let share = (other.cpu() - cpu) / seconds * 100.0;
        report(
            "fail2ban",
            &delays(&written, &found(log), |theft| &theft.thief),
            share,
        );
    }
}

/// When each subject's incident stood in the daemon's log.
fn told(said: &Path, port: u16) -> BTreeMap<String, SystemTime> {
    let mut at = BTreeMap::new();
    for line in BufReader::new(File::open(said).unwrap()).lines() {
        let line = line.unwrap();
        let stamp = line
            .split_whitespace()
            .next()
            .and_then(|stamp| stamp.parse().ok());
        let id = line
            .split("incident id=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        if let (Some(stamp), Some(id)) = (stamp, id) {
            let stamp: jiff::Timestamp = stamp;
            at.entry(id.to_owned()).or_insert(system_time(stamp));
        }
    }
    let mut subjects = BTreeMap::new();
    let mut page = "/v1/incidents".to_owned();
    loop {
        let (_, body) = get(port, &page, &[]).unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        for incident in body["incidents"].as_array().unwrap() {
            let id = incident["id"].as_str().unwrap();
            if let (Some(subject), Some(at)) = (incident["subject"].as_str(), at.get(id)) {
                subjects.insert(subject.to_owned(), *at);
            }
        }
        match body["next"].as_str() {
            Some(next) => page = format!("/v1/incidents?cursor={next}"),
            None => return subjects,
        }
    }
}

/// When fail2ban's log says that it found each address: `2026-11-24 03:00:00,123 … Found 126.0.0.7 - …`, in the zone of
/// the machine.
fn found(log: &Path) -> BTreeMap<String, SystemTime> {
    let mut at = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap_or_default().lines() {
        let Some((stamp, rest)) = line.split_at_checked(23) else {
            continue;
        };
        let address = rest
            .split("Found ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let stamp = stamp.replace(',', ".").parse::<jiff::civil::DateTime>();
        if let (Some(address), Ok(stamp)) = (address, stamp) {
            let stamp = jiff::tz::TimeZone::system().to_timestamp(stamp).unwrap();
            at.entry(address.to_owned()).or_insert(system_time(stamp));
        }
    }
    at
}

fn system_time(stamp: jiff::Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(stamp.as_microsecond() as u64)
}

/// Milliseconds from each theft's first line to when it was told; `None` where it never was.
fn delays(
    written: &Written,
    told: &BTreeMap<String, SystemTime>,
    key: fn(&traffic::Theft) -> &String,
) -> Vec<Option<f64>> {
    let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let thefts = written.thefts.iter();
    let delay = |theft: &traffic::Theft| {
        Some((since(*told.get(key(theft))?) - since(theft.written)).max(0.0) * 1000.0)
    };
    thefts.map(delay).collect()
}

fn report(name: &str, delays: &[Option<f64>], core_percent: f64) {
    let mut told: Vec<f64> = delays.iter().flatten().copied().collect();
    told.sort_by(f64::total_cmp);
    let missing = delays.len() - told.len();
    println!(
        "{name}: {} told, {missing} not told, {core_percent:.0} % of a core",
        told.len()
    );
    if told.is_empty() {
        return;
    }
    let percentile = |share: f64| told[((told.len() - 1) as f64 * share).round() as usize];
    println!(
        "  p50 {:.1} ms   p90 {:.1} ms   p99 {:.1} ms   most {:.1} ms",
        percentile(0.5),
        percentile(0.9),
        percentile(0.99),
        percentile(1.0)
    );
    let mut from = 0.0;
    for to in [
        2.0,
        5.0,
        10.0,
        20.0,
        50.0,
        100.0,
        250.0,
        500.0,
        1000.0,
        f64::INFINITY,
    ] {
        let count = told
            .iter()
            .filter(|delay| **delay >= from && **delay < to)
            .count();
        if count > 0 {
            let bar = "#".repeat((count * 50).div_ceil(told.len()));
            println!("  {from:>6.0} to {to:>5.0} ms {count:>6} {bar}");
        }
        from = to;
    }
}

/// A daemon with a hundred files to which nobody writes.
fn idle() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let plan = Plan {
        lines_per_s: 2000,
        thefts_per_s: 0,
        length: Duration::from_secs(2),
    };
    let files: Vec<PathBuf> = (0..IDLE_FILES)
        .map(|nth| logs.join(format!("{nth}.log")))
        .collect();
    traffic::write(&files, &plan);
    let source = format!("[[source]]\npath = \"{}/*.log\"\n", logs.display());
    let (daemon, _) = watch(folder.path(), &source, &folder.path().join("said"));
    std::thread::sleep(Duration::from_secs(5));
    let before = daemon.cpu();
    std::thread::sleep(IDLE);
    let percent = (daemon.cpu() - before) / IDLE.as_secs_f64() * 100.0;
    let memory = traffic::rss_mb(&daemon.0.id().to_string()).unwrap();
    println!("\nidle with {IDLE_FILES} files: {percent:.2} % of a core, {memory:.0} MB");
}
