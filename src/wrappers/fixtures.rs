//! Every registered wrapper peels the lines of its folder in `tests/fixtures/wrappers/`, and gives what is expected.

use super::{ALL, Memory, Peeler, Wanted};
use crate::domain::clock::Clock;
use crate::domain::line::{Chunk, LINE_BYTES_MAX, Source};
use crate::domain::time::Time;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// What year-less stamps of the fixtures are about.
const AROUND: &str = "2026-05-05T00:00:00Z";

fn clock() -> Clock {
    Clock::utc(super::stamp::rfc3339(AROUND).unwrap())
}

fn folder(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/wrappers").join(name)
}

fn logs(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut logs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    assert!(!logs.is_empty(), "{name} has no log among its fixtures");
    logs
}

fn chunk(bytes: &[u8]) -> Chunk {
    Chunk::split(Source("access.log".into()), bytes.to_vec(), 0, 1)
}

fn shown(chunk: &Chunk) -> Vec<Value> {
    let line = |line: crate::domain::line::RawLine<'_>| {
        json!({
            "line": line.number,
            "offset": line.offset_bytes,
            "written": line.written.map(|time| time.to_string()),
            "cut": line.truncated,
            "text": line.text,
        })
    };
    chunk.lines().map(line).collect()
}

/// All lines inside, given to the peeler in chunks that end at every `every`th line, with a restart after each.
fn peeled(wanted: Wanted, bytes: &[u8], every: usize) -> (Vec<Value>, Vec<&'static str>, u64) {
    let whole = chunk(bytes);
    let mut peeler = Peeler::detect(wanted, &whole, &clock());
    let names = peeler.names().collect();
    let lines: Vec<_> = whole.lines().collect();
    let (mut inside, mut orphans) = (Vec::new(), 0);
    for part in lines.chunks(every) {
        let mut piece = Chunk::new(whole.source().clone());
        part.iter().for_each(|line| piece.push_line(*line));
        inside.extend(shown(&peeler.chunk(piece)));
        orphans += peeler.take_orphans();
        let stored = serde_json::to_string(&peeler.memory()).unwrap();
        let memory: Memory = serde_json::from_str(&stored).unwrap();
        peeler = Peeler::resume(memory, &clock());
    }
    let left = peeler.finish(whole.source());
    inside.extend(left.iter().flat_map(shown));
    (inside, names, orphans + peeler.take_orphans())
}

#[test]
fn every_registered_wrapper_has_fixtures_is_recognised_and_gives_the_lines_inside() {
    for wrapper in ALL {
        for log in logs(wrapper.name) {
            let bytes = fs::read(&log).unwrap();
            let (inside, names, orphans) = peeled(Wanted::Auto, &bytes, usize::MAX);
            assert_eq!(names.first(), Some(&wrapper.name), "{}", log.display());
            let mut text: String = inside.iter().map(|line| format!("{line}\n")).collect();
            text.push_str(&json!({"wrappers": names, "orphans": orphans}).to_string());
            text.push('\n');
            let path = log.with_extension("expected.ndjson");
            if std::env::var_os("TOKENTRIP_BLESS").is_some() {
                fs::write(&path, &text).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(text, expected, "{}", log.display());
        }
    }
}

#[test]
fn the_lines_inside_do_not_depend_on_chunks_or_restarts() {
    for wrapper in ALL {
        for log in logs(wrapper.name) {
            let bytes = fs::read(&log).unwrap();
            let wanted = Wanted::Named(wrapper.name);
            let whole = peeled(wanted, &bytes, usize::MAX);
            // Only the outermost layer is named, so what is inside must be found in the first chunk.
            let one_by_one = peeled(Wanted::Auto, &bytes, 1);
            assert_eq!(whole, one_by_one, "{}", log.display());
        }
    }
}

#[test]
fn what_is_not_wrapped_stays_as_it_is() {
    let formats = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    let folders = fs::read_dir(formats).unwrap().flatten();
    for folder in folders.filter(|entry| entry.path().is_dir()) {
        let logs = fs::read_dir(folder.path()).unwrap().flatten();
        for log in logs.filter(|entry| entry.path().extension().is_some_and(|e| e == "log")) {
            let bytes = fs::read(log.path()).unwrap();
            let peeler = Peeler::detect(Wanted::Auto, &chunk(&bytes), &clock());
            // A format may read lines with a syslog header itself; taking it off first is no harm.
            let names: Vec<_> = peeler.names().filter(|name| *name != "syslog").collect();
            assert!(names.is_empty(), "{names:?}: {}", log.path().display());
        }
    }
    let peeler = Peeler::detect(
        Wanted::Nothing,
        &chunk(b"<1>May  4 10:11:12 a b: c\n"),
        &clock(),
    );
    assert!(peeler.is_empty());
}

/// A line of 40,000 bytes in the pieces that Docker and the kubelet make of it.
fn pieces(form: fn(&str, bool) -> String) -> (String, String) {
    let line = format!("GET /{} é", "x".repeat(39_990));
    let (mut rest, mut file) = (line.as_str(), String::new());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(16 << 10));
        file.push_str(&form(piece, after.is_empty()));
        file.push('\n');
        rest = after;
    }
    (line, file)
}

#[test]
fn a_line_that_docker_or_the_kubelet_split_is_one_line_where_it_begins() {
    let docker = |text: &str, last: bool| {
        let text = format!("{text}{}", if last { "\n" } else { "" });
        json!({"log": text, "stream": "stdout", "time": "2026-05-04T10:11:12.3Z"}).to_string()
    };
    let cri = |text: &str, last: bool| {
        let tag = if last { "F" } else { "P" };
        format!("2026-05-04T10:11:12.3Z stdout {tag} {text}")
    };
    for form in [docker, cri] {
        let (line, file) = pieces(form);
        let before = form("before", true);
        let file = format!("{before}\n{file}{}\n", form("after", true));
        let (inside, _, orphans) = peeled(Wanted::Auto, file.as_bytes(), 2);
        assert_eq!(inside.len(), 3);
        assert_eq!(orphans, 0);
        assert_eq!(inside[1]["text"], line);
        assert_eq!(inside[1]["line"], 2);
        assert_eq!(inside[1]["offset"], before.len() + 1);
        assert_eq!(inside[2]["line"], 5);
    }
}

#[test]
fn pieces_without_an_end_are_bounded_counted_and_not_lost() {
    let piece = |stream: usize, text: &str| json!({"log": text, "stream": format!("s{stream}"), "time": "2026-05-04T10:11:12Z"});
    let streams: String = (0..100)
        .map(|n| format!("{}\n", piece(n, "open")))
        .collect();
    let (inside, _, orphans) = peeled(Wanted::Auto, streams.as_bytes(), 7);
    assert_eq!((inside.len(), orphans), (100, 100));
    let endless = format!("{}\n", piece(0, &"x".repeat(400_000))).repeat(20);
    let (inside, _, _) = peeled(Wanted::Auto, endless.as_bytes(), 3);
    assert_eq!(inside.len(), 1);
    assert_eq!(inside[0]["text"].as_str().unwrap().len(), LINE_BYTES_MAX);
    assert_eq!(inside[0]["cut"], true);
}

#[test]
fn last_words_without_a_line_feed_are_no_part_of_a_line_written_later() {
    let piece = |text: &str, time: &str| {
        format!(
            "{}\n",
            json!({"log": text, "stream": "stdout", "time": time})
        )
    };
    let file = piece("last words", "2026-05-04T10:11:12Z")
        + &piece("a new start\n", "2026-05-04T10:15:00Z");
    let (inside, _, orphans) = peeled(Wanted::Auto, file.as_bytes(), 9);
    let texts: Vec<_> = inside.iter().map(|line| line["text"].clone()).collect();
    assert_eq!(texts, ["last words", "a new start"]);
    assert_eq!(orphans, 1);
}

#[test]
fn a_name_in_the_configuration_is_a_wrapper_auto_or_none() {
    assert_eq!(Wanted::of("auto"), Some(Wanted::Auto));
    assert_eq!(Wanted::of("none"), Some(Wanted::Nothing));
    assert_eq!(Wanted::of("cri"), Some(Wanted::Named("cri")));
    assert_eq!(Wanted::of("cir"), None);
}

proptest! {
    #[test]
    fn no_bytes_make_a_wrapper_panic_or_grow(
        lines in prop::collection::vec("\\PC{0,80}|<[0-9]{1,3}>1? ?\\PC{0,60}|[A-Z_]{1,9}=?\\PC{0,20}", 0..30),
        at in 0usize..9,
    ) {
        let bytes = lines.join("\n").into_bytes();
        let (inside, _, _) = peeled(Wanted::Named(ALL[at % ALL.len()].name), &bytes, 4);
        prop_assert!(inside.len() <= lines.len() + 1);
    }

    #[test]
    fn a_mangled_fixture_does_no_harm(at in 0usize..9, cut in 0usize..2000, byte in any::<u8>()) {
        let log = &logs(ALL[at % ALL.len()].name)[0];
        let mut bytes = fs::read(log).unwrap();
        let cut = cut % bytes.len();
        bytes[cut] = byte;
        let _ = peeled(Wanted::Auto, &bytes, 3);
        let _ = peeled(Wanted::Auto, &bytes[..cut], 3);
    }

    #[test]
    fn a_year_less_stamp_is_read_for_every_day(ms in 0i64..1_700_000_000_000) {
        let about = Time::from_ms(ms).unwrap();
        let text = jiff::Timestamp::from_millisecond(ms).unwrap().strftime("%b %e %H:%M:%S rest").to_string();
        let (time, rest) = super::stamp::rfc3164(&text, &Clock::utc(about)).unwrap();
        prop_assert_eq!((time.as_s(), rest), (about.as_s(), "rest"));
    }
}
