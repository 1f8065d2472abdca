//! Every registered format reads the lines of its folder in `tests/fixtures/formats/`, and reads them as expected.

use super::{ALL, FieldMap, Parser, detect};
use crate::domain::event::{AccessEvent, CarrierKind};
use crate::domain::facts::Facts;
use crate::domain::line::{SkipReason, Source};
use crate::domain::usage::{Field, Value, View};
use serde_json::{Map, Value as Json};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

fn folder(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/formats")
        .join(format)
}

/// The logs of a folder, at least one.
fn logs(format: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(format)).unwrap_or_else(|e| panic!("{format}: {e}"));
    let mut logs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    assert!(!logs.is_empty(), "{format} has no log among its fixtures");
    logs
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What the expectation calls a field of the event.
fn shown(event: &AccessEvent<'_>, name: &str) -> String {
    if name == "carriers" {
        return carriers(event);
    }
    let name = if name == "target" {
        "url.original"
    } else {
        name
    };
    let field = Field::of_name(name).unwrap_or_else(|| panic!("no field is called {name}"));
    let view = View {
        event,
        usage: None,
        other: None,
        facts: &Facts::default(),
        source: &Source("fixture".into()),
        offset_bytes: 0,
    };
    match view.value(field) {
        Value::Text(text) => text.into_owned(),
        Value::Number(number) => number.to_string(),
        Value::Absent | Value::Flag => "-".to_owned(),
    }
}

fn carriers(event: &AccessEvent<'_>) -> String {
    let each = event.carriers.iter().map(|carrier| {
        let kind = match carrier.kind {
            CarrierKind::Claim(claim) => format!("claim {claim:?}"),
            other => format!("{other:?}"),
        };
        format!("{} {}", kind.to_lowercase(), carrier.name)
    });
    each.collect::<Vec<_>>().join(", ")
}

fn check_line(line: &str, read: Result<AccessEvent<'_>, SkipReason>, expected: Option<&Json>) {
    let Some(facts) = expected.and_then(Json::as_object) else {
        assert!(read.is_err(), "nothing is expected of {line}");
        return;
    };
    if let Some(reason) = facts.get("skipped").and_then(Json::as_str) {
        assert_eq!(
            read.map(|_| ()).map_err(SkipReason::name),
            Err(reason),
            "{line}"
        );
        return;
    }
    let event = read.unwrap_or_else(|reason| panic!("{reason:?}: {line}"));
    check_facts(line, &event, facts);
}

fn check_facts(line: &str, event: &AccessEvent<'_>, facts: &Map<String, Json>) {
    for (name, expected) in facts
        .iter()
        .filter(|(n, _)| *n != "message" && *n != "log_type")
    {
        let (expected, shown) = (expected.as_str().unwrap(), shown(event, name));
        match name.as_str() {
            // The others' expectations have no fractions.
            "@timestamp" => {
                let expected = super::time::read(expected).unwrap().0;
                let gap_ms = event.time.as_ms() - expected.as_ms();
                let whole = expected.as_ms() % 1000 == 0;
                assert!(
                    gap_ms == 0 || whole && (0..1000).contains(&gap_ms),
                    "{name} of {line}"
                );
            }
            "http.response.status_code" | "http.response.bytes" if expected == "-" => {
                assert!(matches!(shown.as_str(), "-" | "0"), "{name} of {line}");
            }
            "http.response.status_code" if expected == "0" => assert_eq!(event.status, 0),
            _ => assert_eq!(shown, expected, "{name} of {line}"),
        }
    }
}

/// The parser that is found out for a log: it also reads the lines of other formats among it.
fn detected(log: &Path) -> Parser {
    let text = read(log);
    let lines: Vec<&str> = text.lines().collect();
    let found = detect(&lines, &FieldMap::default());
    found
        .unwrap_or_else(|e| panic!("{}: {e}", log.display()))
        .parser
}

fn check_log(path: &Path, mut parser: Parser) {
    let expected = read(&path.with_extension("expected.ndjson"));
    let expected: Vec<Json> = expected
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in read(path).lines() {
        parser.follow(line);
        // Of an error log, the others' expectations hold the message alone.
        let of_line = expected.iter().find(|facts| {
            let message = facts["message"].as_str().unwrap();
            message == line || facts["log_type"] == "http_error-log" && line.contains(message)
        });
        check_line(line, parser.parse(line), of_line);
    }
}

#[test]
fn every_registered_format_has_a_fixture_folder_and_gives_what_is_expected() {
    for format in ALL {
        for log in logs(format.name) {
            check_log(&log, detected(&log));
        }
    }
}

/// Elastic's sample of 2015: 5,000 lines as Apache wrote them.
#[test]
fn every_line_of_a_real_log_is_read() {
    let packed = fs::read(folder("apache_logs.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*packed)
        .read_to_string(&mut text)
        .unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5_000);
    let found = detect(&lines, &FieldMap::default()).unwrap();
    assert_eq!(found.parser.name(), "combined");
    for line in lines {
        let event = found
            .parser
            .parse(line)
            .unwrap_or_else(|why| panic!("{why:?}: {line}"));
        assert!(
            event.client.is_some() && event.status > 0 && event.path.is_some(),
            "{line}"
        );
    }
}

#[test]
fn each_format_is_told_from_all_others_by_any_of_its_lines() {
    for format in ALL {
        for log in logs(format.name) {
            let text = read(&log);
            let named = Parser::named(format.name).unwrap();
            // A directive describes what follows; without it a line is a W3C line of the usual layout or of none.
            let own = text.lines().filter(|line| named.parse(line).is_ok());
            for line in own {
                let found = detect(&[line], &FieldMap::default());
                let found = found.map(|found| found.parser.name().to_owned());
                let expected = [Ok(format.name.to_owned()), Ok("combined".to_owned())];
                let is_same = found == expected[0];
                // nginx Proxy Manager writes nginx's own format for its default host.
                let is_default_host = format.name == "nginx_proxy_manager" && found == expected[1];
                assert!(is_same || is_default_host, "{found:?}: {line}");
            }
        }
    }
}

#[test]
fn every_format_string_beside_a_log_reads_it() {
    for log in logs("log_format") {
        let format = read(&log.with_extension("format"));
        check_log(&log, Parser::from_log_format(&format).unwrap());
    }
}

#[test]
fn every_log_among_the_fixtures_is_detected_as_what_it_is() {
    for format in ALL {
        for log in logs(format.name) {
            assert_eq!(detected(&log).name(), format.name, "{}", log.display());
        }
    }
}

#[test]
fn names_and_aliases_are_one_each() {
    let mut names: Vec<&str> = ALL
        .iter()
        .flat_map(|f| f.aliases.iter().chain([&f.name]))
        .copied()
        .collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for name in names {
        assert!(Parser::named(name).is_ok(), "{name}");
    }
}

#[test]
fn a_line_gives_the_same_event_whatever_line_was_learned_from() {
    for format in ALL {
        let text: String = logs(format.name).iter().map(|log| read(log)).collect();
        let lines: Vec<&str> = text.lines().collect();
        let fresh = |line: &&str| all_of(Parser::named(format.name).unwrap().parse(line));
        let expected: Vec<_> = lines.iter().map(fresh).collect();
        for teacher in lines.iter().take(TEACHERS_MAX) {
            let seasoned = Parser::named(format.name).unwrap();
            let _ = seasoned.parse(teacher);
            for (line, expected) in lines.iter().zip(&expected) {
                assert_eq!(
                    &all_of(seasoned.parse(line)),
                    expected,
                    "{line} after {teacher}"
                );
            }
        }
    }
}

/// Enough for lines of every kind in a log.
const TEACHERS_MAX: usize = 24;

#[test]
fn what_a_crash_leaves_before_a_line_is_none_of_it() {
    for line in [
        r#"192.0.2.7 - - [04/May/2026:10:11:12 +0000] "GET /a HTTP/1.1" 200 5"#,
        r#"{"time":"2026-05-04T10:11:12Z","remote_addr":"192.0.2.7","path":"/a","status":200}"#,
    ] {
        let dirty = format!("\0\0\0\u{feff}{line}");
        let lines = [dirty.as_str()];
        let parser = detect(&lines, &FieldMap::default()).unwrap().parser;
        let event = parser.parse(&dirty).unwrap();
        assert_eq!(event.client, "192.0.2.7".parse().ok(), "{line}");
    }
}

fn all_of(read: Result<AccessEvent<'_>, SkipReason>) -> Result<Vec<String>, SkipReason> {
    let event = read?;
    let mut all: Vec<String> = Field::PLAIN
        .iter()
        .map(|field| shown(&event, field.name()))
        .collect();
    all.extend(
        event
            .carriers
            .iter()
            .map(|c| format!("{:?} {} {}", c.kind, c.name, c.text)),
    );
    Ok(all)
}
