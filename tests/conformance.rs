//! What `tokentrip parse` makes of the log lines that others wrote, and of what happens to lines: as tables.
//!
//! In: the logs among the fixtures, and suites below the folder in `TOKENTRIP_CONFORMANCE`. Out: a row a log with
//! lines, facts and reasons, a row for each kind of dirt; `tests/conformance` prints both.
//! Does not know: fields that `parse` does not show (carriers); the unit tests of the formats compare these.

use crate::support::daemon::tokentrip;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokentrip::domain::mask::mask;
use tokentrip::formats::ALL;

/// What `parse` says of each line, by its number.
type Said = BTreeMap<u64, Map<String, Value>>;

fn parse(log: &Path) -> Said {
    let output = tokentrip().arg("parse").arg(log).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let objects = said
        .lines()
        .map(|line| serde_json::from_str::<Map<String, Value>>(line).unwrap());
    objects
        .map(|object| (object["line"].as_u64().unwrap(), object))
        .collect()
}

/// A log, and what must come out of it.
struct Suite {
    format: String,
    log: PathBuf,
    expected: PathBuf,
}

fn fixtures(format: &str) -> Vec<Suite> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    let entries = fs::read_dir(root.join(format)).unwrap();
    let mut logs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    let suite = |log: PathBuf| Suite {
        format: format.to_owned(),
        expected: log.with_extension("expected.ndjson"),
        log,
    };
    logs.into_iter().map(suite).collect()
}

/// Folders with `input.log` and `expected.ndjson` in them, below the one that is named.
fn given() -> Vec<Suite> {
    let Ok(root) = std::env::var("TOKENTRIP_CONFORMANCE") else {
        return Vec::new();
    };
    let entries = fs::read_dir(&root).unwrap_or_else(|error| panic!("{root}: {error}"));
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("input.log").is_file());
    folders.sort();
    let suite = |folder: PathBuf| Suite {
        format: folder.file_name().unwrap().to_string_lossy().into_owned(),
        log: folder.join("input.log"),
        expected: folder.join("expected.ndjson"),
    };
    folders.into_iter().map(suite).collect()
}

/// One row.
#[derive(Default)]
struct Tally {
    lines: usize,
    read: usize,
    facts: usize,
    equal: usize,
    skipped: BTreeMap<String, usize>,
}

impl Tally {
    fn count(&mut self, object: &Map<String, Value>) {
        self.lines += 1;
        match object.get("reason") {
            Some(reason) => {
                let reason = reason.as_str().unwrap().to_owned();
                *self.skipped.entry(reason).or_default() += 1;
            }
            None => self.read += 1,
        }
    }

    fn row(&self, name: &str) -> String {
        let skipped = self.skipped.iter();
        let skipped: Vec<String> = skipped
            .map(|(why, count)| format!("{why} {count}"))
            .collect();
        format!(
            "{name:44} {:>6} {:>6} {:>6} {:>6}  {}",
            self.lines,
            self.read,
            self.facts,
            self.equal,
            skipped.join(", ")
        )
    }
}

const HEAD: &str =
    "                                              lines   read  facts  equal  skipped";

/// Facts that `parse` does not show, or that name the line.
const NO_FACTS: [&str; 4] = ["message", "log_type", "carriers", "skipped"];

fn is_equal(name: &str, expected: &str, object: &Map<String, Value>) -> bool {
    let name = if name == "target" {
        "url.original"
    } else {
        name
    };
    let shown = object.get(name).map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let shown = shown.unwrap_or_default();
    match (name, expected) {
        // Others' expectations have no fractions of a second.
        ("@timestamp", _) => {
            let second = |text: &str| {
                let time: Option<jiff::Timestamp> = text.parse().ok();
                time.map(|time| time.as_second())
            };
            second(expected).is_some() && second(expected) == second(&shown)
        }
        (_, "-" | "0") => matches!(&*shown, "" | "0" | "-"),
        _ => shown == mask(expected),
    }
}

/// Compares one log, and tells what differs.
fn compare(suite: &Suite, offences: &mut Vec<String>) -> Tally {
    let said = parse(&suite.log);
    let text = String::from_utf8_lossy(&fs::read(&suite.log).unwrap()).into_owned();
    let expected: Vec<Map<String, Value>> = fs::read_to_string(&suite.expected)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut tally = Tally::default();
    for (line, number) in text.lines().zip(1..) {
        let Some(object) = said.get(&number) else {
            offences.push(format!("{}:{number}: not read", suite.log.display()));
            continue;
        };
        tally.count(object);
        // Of an error log, others' expectations hold the message alone.
        let of_line = expected.iter().find(|facts| {
            let message = facts["message"].as_str().unwrap();
            message == line
                || facts
                    .get("log_type")
                    .is_some_and(|kind| kind == "http_error-log")
                    && line.contains(message)
        });
        for (name, value) in of_line.into_iter().flatten() {
            if NO_FACTS.contains(&name.as_str()) {
                continue;
            }
            let value = value.as_str().unwrap();
            tally.facts += 1;
            if is_equal(name, value, object) {
                tally.equal += 1;
            } else {
                let place = format!("{}:{number}", suite.log.display());
                offences.push(format!("{place}: {name} is not {value}: {object:?}"));
            }
        }
    }
    tally
}

#[test]
fn every_fact_of_every_suite_comes_out_of_the_program() {
    let mut offences = Vec::new();
    println!("{HEAD}");
    let own = ALL.iter().flat_map(|format| fixtures(format.name));
    for suite in own.chain(given()) {
        let tally = compare(&suite, &mut offences);
        let name = suite
            .log
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        println!("{}", tally.row(&format!("{} {name}", suite.format)));
    }
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

/// What happens to a line.
struct Dirt {
    name: &'static str,
    /// The line as it then is; `None` where that cannot be.
    make: fn(&str, &Facts) -> Option<String>,
    /// The client that must come out.
    client: Client,
}

/// What is known of the clean line.
struct Facts {
    client: String,
}

enum Client {
    /// As without the dirt, and all other facts too.
    Same,
    /// This one.
    Is(&'static str),
    /// As without the dirt, or another hop of the same chain, or none: never one that the line does not name.
    SameOrNone,
}

/// Puts another client in the place of the line's, where nothing is glued to it.
fn with_client(line: &str, facts: &Facts, client: &str) -> Option<String> {
    let (before, behind) = line.split_once(&*facts.client)?;
    let glued = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | ',' | '/');
    let is_alone = !before.ends_with(glued) && !before.ends_with('[') && !behind.starts_with(glued);
    let once = !behind.contains(&*facts.client) && !facts.client.is_empty();
    (is_alone && once).then(|| format!("{before}{client}{behind}"))
}

/// Half of a line, at a character.
fn half(line: &str) -> String {
    line[..line.floor_char_boundary(line.len() / 2)].to_owned()
}

const DIRT: &[Dirt] = &[
    Dirt {
        name: "clean",
        make: |line, _| Some(line.to_owned()),
        client: Client::Same,
    },
    Dirt {
        name: "CRLF",
        make: |line, _| Some(format!("{line}\r")),
        client: Client::Same,
    },
    Dirt {
        name: "a byte order mark",
        make: |line, _| Some(format!("\u{feff}{line}")),
        client: Client::Same,
    },
    Dirt {
        name: "in Docker's json-file",
        make: |line, _| {
            let time = "2026-05-04T10:11:12.345678901Z";
            Some(json!({"log": format!("{line}\n"), "stream": "stdout", "time": time}).to_string())
        },
        client: Client::Same,
    },
    Dirt {
        name: "in the kubelet's log",
        make: |line, _| Some(format!("2026-05-04T10:11:12.345678901Z stdout F {line}")),
        client: Client::Same,
    },
    Dirt {
        name: "in syslog (RFC 3164)",
        make: |line, _| Some(format!("<134>May  4 10:11:12 gw nginx: {line}")),
        client: Client::Same,
    },
    Dirt {
        name: "in syslog (RFC 5424)",
        make: |line, _| Some(format!("<134>1 2026-05-04T10:11:12Z gw nginx 7 - - {line}")),
        client: Client::Same,
    },
    Dirt {
        name: "in rsyslog's file",
        make: |line, _| {
            Some(format!(
                "2026-05-04T10:11:12.345678+00:00 gw nginx[7]: {line}"
            ))
        },
        client: Client::Same,
    },
    Dirt {
        name: "in journalctl -o json",
        make: |line, _| {
            let entry = json!({"MESSAGE": line, "__REALTIME_TIMESTAMP": "1777889472345678"});
            Some(entry.to_string())
        },
        client: Client::Same,
    },
    Dirt {
        name: "in docker compose logs",
        make: |line, _| Some(format!("gw-1  | {line}")),
        client: Client::Same,
    },
    Dirt {
        name: "in Filebeat's event",
        make: |line, _| Some(json!({"message": line, "agent": {"type": "filebeat"}}).to_string()),
        client: Client::Same,
    },
    Dirt {
        name: "an IPv6 client",
        make: |line, facts| with_client(line, facts, "2001:db8::99"),
        client: Client::Is("2001:db8::99"),
    },
    Dirt {
        name: "an IPv6 client in brackets, with its port",
        make: |line, facts| with_client(line, facts, "[2001:db8::99]:5000"),
        client: Client::Is("2001:db8::99"),
    },
    Dirt {
        name: "a client with its port",
        make: |line, facts| with_client(line, facts, "192.0.2.99:5000"),
        client: Client::Is("192.0.2.99"),
    },
    Dirt {
        name: "a client mapped into IPv6",
        make: |line, facts| with_client(line, facts, "::ffff:192.0.2.99"),
        client: Client::Is("192.0.2.99"),
    },
    Dirt {
        name: "half of it",
        make: |line, _| Some(half(line)),
        client: Client::SameOrNone,
    },
    Dirt {
        name: "half of it, and the next line",
        make: |line, _| Some(format!("{}{line}", half(line))),
        client: Client::SameOrNone,
    },
    Dirt {
        name: "words behind it",
        make: |line, _| Some(format!("{line} added later")),
        client: Client::SameOrNone,
    },
];

/// A log of clean lines, each a directive or about somebody, and what the program says of them.
struct Log {
    name: String,
    lines: Vec<String>,
    said: Said,
}

impl Log {
    fn of(suite: &Suite, folder: &Path) -> Self {
        let said = parse(&suite.log);
        let about_somebody = |number: &u64| said[number].contains_key("source.ip");
        let text = fs::read_to_string(&suite.log).unwrap();
        let lines = text.lines().zip(1..);
        let lines = lines.filter(|(line, number)| line.starts_with('#') || about_somebody(number));
        let lines: Vec<String> = lines.map(|(line, _)| line.to_owned()).collect();
        let path = folder.join("clean.log");
        fs::write(&path, lines.join("\n")).unwrap();
        Self {
            name: suite.log.display().to_string(),
            said: parse(&path),
            lines,
        }
    }

    /// The lines with dirt, each with the number of the clean one. A directive has it, too, where all lines can.
    fn dirty(&self, dirt: &Dirt) -> Vec<(u64, String)> {
        let lines = self.lines.iter().zip(1..);
        let made = lines.filter_map(|(line, number)| {
            let client = self.said[&number].get("source.ip").and_then(Value::as_str);
            let client = client.unwrap_or_default().to_owned();
            let directive = || line.starts_with('#').then(|| line.clone());
            let made = (dirt.make)(line, &Facts { client }).or_else(directive)?;
            Some((number, made))
        });
        made.collect()
    }

    fn soil(&self, dirt: &Dirt, folder: &Path, tally: &mut Tally) -> Vec<String> {
        let dirty = self.dirty(dirt);
        let lines: Vec<&str> = dirty.iter().map(|(_, line)| line.as_str()).collect();
        let path = folder.join("dirty.log");
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let said = parse(&path);
        let mut offences = Vec::new();
        for ((origin, line), number) in dirty.iter().zip(1..) {
            let clean = &self.said[origin];
            let Some(object) = said.get(&number).filter(|_| clean["type"] == "event") else {
                continue;
            };
            tally.count(object);
            tally.facts += 1;
            let equal = is_as(&dirt.client, clean, object);
            tally.equal += usize::from(equal);
            if !equal {
                offences.push(format!(
                    "{}, {}: {line}\n  {object:?}",
                    dirt.name, self.name
                ));
            }
        }
        offences
    }
}

/// Fields that no dirt around a line may change.
const SAME: [&str; 6] = [
    "source.ip",
    "url.original",
    "http.request.method",
    "http.response.status_code",
    "user_agent.original",
    "@timestamp",
];

fn is_as(client: &Client, clean: &Map<String, Value>, dirty: &Map<String, Value>) -> bool {
    let ip = |object: &Map<String, Value>| object.get("source.ip").cloned();
    match client {
        Client::Same => SAME.iter().all(|name| clean.get(*name) == dirty.get(*name)),
        Client::Is(client) => ip(dirty) == Some(json!(client)),
        Client::SameOrNone => {
            let chain = clean.get("source.address_chain").and_then(Value::as_str);
            let named = |ip: Value| chain.unwrap_or_default().contains(ip.as_str().unwrap());
            ip(dirty) == ip(clean) || ip(dirty).is_none_or(named)
        }
    }
}

#[test]
fn no_dirt_makes_another_client_of_a_line() {
    let folder = TempDir::new().unwrap();
    let suites = ALL.iter().flat_map(|format| fixtures(format.name));
    let logs: Vec<Log> = suites.map(|suite| Log::of(&suite, folder.path())).collect();
    let mut offences = Vec::new();
    println!("{HEAD}");
    for dirt in DIRT {
        let mut tally = Tally::default();
        for log in &logs {
            offences.extend(log.soil(dirt, folder.path(), &mut tally));
        }
        println!("{}", tally.row(dirt.name));
    }
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}
