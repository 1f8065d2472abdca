//! A folder with a log, its issuer's keys and a configuration: what a daemon needs, and what came of it.
//!
//! In: bytes for the log. Out: what the daemon's store holds, what a scan finds in the same log.
//! Does not know: anything of the crate but its names.

use super::daemon::tokentrip;
use super::hook::Hook;
use super::logs::ISSUER;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// A folder with an empty log, the issuer's keys, and the secret that a hook signs with.
pub(crate) fn furnished() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let keys = include_str!("../fixtures/keys/public.jwks.json");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (name, text) in [
        ("keys.json", keys),
        ("hook.secret", secret),
        ("access.log", ""),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Such a folder, and a configuration for its log.
pub(crate) fn house() -> (TempDir, String) {
    let folder = furnished();
    let config = format!(
        "[[source]]\npath = \"{}\"\n[[issuer]]\nissuer = \"{ISSUER}\"\njwks = \"keys.json\"\n\
         [state]\nfolder = \"state\"\n",
        folder.path().join("access.log").display()
    );
    (folder, config)
}

/// A configuration for such a folder, in which a hook is called for everything that is decided. `more` goes on with
/// `[response]`.
pub(crate) fn enforcing(hook: &Hook, more: &str) -> String {
    format!(
        "[[source]]\npath = \"access.log\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n[[issuer]]\nissuer = \"{ISSUER}\"\n\
         jwks = \"keys.json\"\nprotected_paths = [\"/api/\"]\n[[provider]]\nkind = \"webhook\"\nurl = \"{}\"\n\
         secret_file = \"hook.secret\"\n[state]\nfolder = \"state\"\n[response]\nmode = \"enforce\"\n{more}",
        hook.url
    )
}

/// Adds to a log, which is made when it is missing.
pub(crate) fn append(log: &Path, bytes: &[u8]) {
    let mut file = File::options().append(true).create(true).open(log).unwrap();
    file.write_all(bytes).unwrap();
}

/// Rule, id, line and position of a finding.
fn edge(finding: &Value) -> String {
    let (at, rule, id) = (
        &finding["evidence"][0]["offset"],
        &finding["rule"],
        &finding["id"],
    );
    format!("{at} {rule} {id}")
}

/// What the daemon's store holds, once the daemon has ended.
pub(crate) fn stored(folder: &Path) -> BTreeSet<String> {
    let store = Connection::open(folder.join("state/store.db")).unwrap();
    let mut all = store.prepare("SELECT json FROM findings").unwrap();
    let rows = all.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|row| edge(&serde_json::from_str(&row.unwrap()).unwrap()))
        .collect()
}

/// What a scan with the daemon's configuration finds in the log, and its incidents.
pub(crate) fn scanned(folder: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut scan = tokentrip();
    scan.args(["scan", "--config"])
        .arg(folder.join("tokentrip.toml"));
    let output = scan.arg(folder.join("access.log")).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let records: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &'static str| records.iter().filter(move |record| record["type"] == kind);
    let incidents = of("incident")
        .map(|incident| incident["id"].to_string())
        .collect();
    (of("finding").map(edge).collect(), incidents)
}
