//! No parser takes more than its share of time or memory for a longer line: an attacker chooses what stands in one.
//!
//! In: lines that begin as real ones do and go on with bytes of every kind, 64 KiB and 1 MiB long. Out: sixteen times the
//! bytes take about sixteen times as long, and an event holds no more text than its line.
//! Does not know: how fast a parser is; `benches/formats.rs` says.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokentrip::domain::event::AccessEvent;
use tokentrip::formats::{ALL, Parser, note};

const SHORT_BYTES: usize = 64 * 1024;
/// The longest line that is read.
const LONG_BYTES: usize = 1024 * 1024;

/// Linear is 16, quadratic 256. Between them is room for a machine that does something else, too.
const FACTOR_MAX: u32 = 64;
/// Below this a clock says nothing.
const SHORT_MIN: Duration = Duration::from_micros(50);
/// How often a suspect is measured again before it is believed to be slow; the fastest of each length counts.
const MEASURED_MAX: usize = 8;

/// Every line among the fixtures.
fn lines() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    let folders = fs::read_dir(root).unwrap().flatten();
    let folders = folders
        .map(|folder| folder.path())
        .filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
    let logs = files.map(|file| file.path());
    let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let texts = logs.map(|path| fs::read_to_string(path).unwrap());
    let lines: Vec<String> = texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(lines.len() > 150, "the fixtures are there");
    lines
}

fn parsers() -> Vec<Parser> {
    let compiled = [
        r#"$remote_addr [$time_local] "$request" $status "$http_user_agent""#,
        r#"escape=json {"t":"$time_iso8601","r":"$request_uri","a":"$http_authorization"}"#,
        r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{Cookie}i\""#,
    ];
    let compiled = compiled.map(|format| Parser::from_log_format(format).unwrap());
    let named = ALL.iter().map(|format| Parser::named(format.name).unwrap());
    named.chain(compiled).collect()
}

/// The beginning of a real line, what is repeated behind it, and the end of another.
fn lengthened() -> impl Strategy<Value = (String, String, String)> {
    let lines = lines();
    let ends = lines.clone();
    let begin = (0..lines.len(), 0..=100usize).prop_map(move |(nth, percent)| {
        let line = &lines[nth];
        line[..line.floor_char_boundary(line.len() * percent / 100)].to_owned()
    });
    let end = (0..ends.len(), 0..=100usize).prop_map(move |(nth, percent)| {
        let line = &ends[nth];
        line[line.floor_char_boundary(line.len() * percent / 100)..].to_owned()
    });
    let piece = prop_oneof![
        prop::sample::select(vec![
            "\"",
            "\\",
            "\\\"",
            "[",
            "{",
            "{\"a\":",
            "\"a\":1,",
            "\"eyJ\":\"eyJ\",",
            "[[",
            " ",
            "\" \"",
            "a=",
            "a=\"",
            "=",
            ",",
            "%",
            "%25",
            "#22",
            "\\x41",
            "\\u0041",
            "eyJ",
            "eyJ.",
            "eyJhbGciOiJub25lIn0.e30.",
            " - ",
            "] \"",
            "\u{fffd}",
            "/",
            "10.0.0.1, ",
            "} {",
            "}",
            "|",
            "\t",
            ", client: ",
            "; a=eyJ",
            "&token=",
            ":",
            "~t-",
        ])
        .prop_map(str::to_owned),
        prop::collection::vec(any::<u8>(), 1..4)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).replace('\n', " ")),
    ];
    let filler = prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat());
    (begin, filler, end)
}

fn line_of((begin, filler, end): &(String, String, String), bytes: usize) -> String {
    let times = bytes.saturating_sub(begin.len() + end.len()) / filler.len();
    format!("{begin}{}{end}", filler.repeat(times.max(1)))
}

fn time(parser: &Parser, line: &str) -> Duration {
    let begun = on_a_core();
    let _ = std::hint::black_box(parser.parse(line));
    on_a_core() - begun
}

/// How long this thread was on a core: what others want of it is not the parser's.
fn on_a_core() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// How much text an event keeps that does not stand in its line.
fn text_bytes(event: &AccessEvent<'_>) -> usize {
    let carriers = event.carriers.iter();
    let carried: usize = carriers
        .map(|carrier| carrier.text.len() + carrier.name.len())
        .sum();
    let fields = [
        &event.path,
        &event.query,
        &event.user_agent,
        &event.referer,
        &event.chain,
        &event.host,
        &event.user,
    ];
    carried
        + fields
            .iter()
            .filter_map(|field| field.as_deref())
            .map(str::len)
            .sum::<usize>()
}

#[test]
fn sixteen_times_the_bytes_take_no_parser_much_more_than_sixteen_times_as_long() {
    let parsers = parsers();
    // A parser that has read a line before knows its names: that path is looked at, too.
    for line in lines() {
        parsers.iter().for_each(|parser| drop(parser.parse(&line)));
    }
    let mut runner = TestRunner::new(ProptestConfig::with_cases(48));
    let checked = runner.run(&lengthened(), |parts| {
        let [short, long] = [SHORT_BYTES, LONG_BYTES].map(|bytes| line_of(&parts, bytes));
        for parser in &parsers {
            let mut fastest = [time(parser, &short), time(parser, &long)];
            let is_slow = |[short, long]: [Duration; 2]| long > short.max(SHORT_MIN) * FACTOR_MAX;
            for _ in 1..MEASURED_MAX {
                if !is_slow(fastest) {
                    break;
                }
                fastest = [
                    fastest[0].min(time(parser, &short)),
                    fastest[1].min(time(parser, &long)),
                ];
            }
            prop_assert!(!is_slow(fastest), "{parser:?}: {fastest:?}");
            if let Ok(event) = parser.parse(&long) {
                prop_assert!(text_bytes(&event) <= 2 * long.len(), "{parser:?}");
            }
        }
        prop_assert!(note(&long, None).is_none_or(|event| text_bytes(&event) <= 2 * long.len()));
        Ok(())
    });
    checked.unwrap();
}
