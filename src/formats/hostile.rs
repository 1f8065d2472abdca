//! No bytes make a parser panic, and none of its work grows faster than the line.

use super::{ALL, FieldMap, Parser, detect, note};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// The longest line that is read.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Every line among the fixtures.
fn lines() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats");
    let mut lines = Vec::new();
    for folder in fs::read_dir(root).unwrap() {
        let Ok(files) = fs::read_dir(folder.unwrap().path()) else {
            continue;
        };
        for file in files.map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "log") {
                lines.extend(fs::read_to_string(file).unwrap().lines().map(str::to_owned));
            }
        }
    }
    assert!(lines.len() > 150, "the fixtures are there");
    lines
}

fn parsers() -> Vec<Parser> {
    let named = ALL.iter().map(|format| Parser::named(format.name).unwrap());
    let compiled = [
        r#"$remote_addr [$time_local] "$request" $status "$http_user_agent""#,
        r#"escape=json {"t":"$time_iso8601","r":"$request_uri","a":"$http_authorization"}"#,
        r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{Cookie}i\""#,
    ];
    let compiled = compiled.map(|format| Parser::from_log_format(format).unwrap());
    named.chain(compiled).collect()
}

/// A beginning of one line, some bytes of one's own, an end of another.
fn spliced() -> impl Strategy<Value = String> {
    let lines = lines();
    let cut = (0..lines.len(), 0..=100usize, 0..lines.len(), 0..=100usize);
    let own = prop::collection::vec(
        prop_oneof![Just(b'"'), Just(b'\\'), Just(b' '), any::<u8>()],
        0..12,
    );
    (cut, own).prop_map(move |((first, head, second, tail), own)| {
        let part = |line: &str, percent| line.len() * percent / 100;
        let (first, second) = (&lines[first], &lines[second]);
        let mut bytes = first.as_bytes()[..part(first, head)].to_vec();
        bytes.extend(own);
        bytes.extend(&second.as_bytes()[part(second, tail)..]);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

proptest! {
    #[test]
    fn no_line_makes_a_parser_panic(line in prop_oneof![spliced(), "\\PC{0,200}"]) {
        for mut parser in parsers() {
            let _ = parser.parse(&line);
            parser.follow(&line);
            let _ = parser.parse(&line);
        }
        let _ = note(&line, None);
    }
}

#[test]
fn directives_of_any_kind_are_followed_without_harm() {
    let mut parser = Parser::named("w3c").unwrap();
    let wide = format!("#Fields: date time {}", "c-ip ".repeat(100_000));
    for directive in ["#Fields:", "#Fields: - - -", "#Fields: c-ip", &wide] {
        parser.follow(directive);
        assert!(parser.parse("").is_err());
        let _ = parser.parse("2026-05-04 10:11:12 192.0.2.1 GET /");
    }
    parser.follow("#Fields: date time c-ip cs-uri-stem");
    assert!(parser.parse("2026-05-04 10:11:12 192.0.2.1 /").is_ok());
}

/// Were any parser slower than linear, a megabyte would take it hours: that this ends is what it shows.
#[test]
fn the_longest_lines_of_any_kind_come_to_an_end() {
    let lines = lines();
    let mut beginnings: Vec<&str> = vec![""];
    for share in [3, 2] {
        let begin = |line: &'_ String| line.floor_char_boundary(line.len() / share);
        beginnings.extend(lines.iter().step_by(41).map(|line| &line[..begin(line)]));
    }
    let fillers = [
        "\"",
        "\\",
        "\\\"",
        "[",
        "{",
        "{\"a\":",
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
        "eyJ",
        "eyJ.",
        " - ",
        "] \"",
        "\u{fffd}",
        "/",
        "10.0.0.1, ",
        "} {",
    ];
    let parsers = parsers();
    for (index, beginning) in beginnings.iter().enumerate() {
        // Every beginning with some of the fillers, every filler with some of the beginnings.
        for filler in fillers.iter().skip(index % 7).step_by(7) {
            let mut line = (*beginning).to_owned();
            while line.len() < LINE_BYTES_MAX {
                line.push_str(filler);
            }
            for parser in &parsers {
                let _ = parser.parse(&line);
            }
        }
    }
}

#[test]
fn a_sample_of_hostile_lines_is_no_format() {
    let line = "\"".repeat(100_000);
    let sample = vec![line.as_str(); 20];
    assert!(detect(&sample, &FieldMap::default()).is_err());
}
