//! Which format a log is in, judged by its first lines.
//!
//! In: lines. Out: [`Detection`].
//! Does not know: how many lines there are after them.

use super::mixed::Mixed;
use super::names::FieldMap;
use super::{ALL, FormatFault, Parser, loose};
use crate::domain::event::{AccessEvent, EventKind};
use crate::domain::time::Time;
use std::cmp::Reverse;

/// Lines looked at: enough for a rare kind of line not to decide, and read in a millisecond.
const LINES_MAX: usize = 200;

/// Below this a format fits by accident: an application's JSON has times, too.
const CONFIDENCE_MIN: f64 = 0.2;

/// So many whole requests are none by accident, however much else stands between them.
const WHOLE_MIN: u32 = 3;

/// Formats that a refusal names.
const NEAREST: usize = 3;

/// The format that fits best.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Reads the log.
    pub parser: Parser,
    /// From 0 to 1: the share of lines it could read, times how much of a request it found in them.
    pub confidence: f64,
    /// Lines it was judged by, without blank lines and comments.
    pub lines: usize,
    /// How many of them it could read.
    pub parsed: usize,
    /// In how many of these it found all of a request.
    whole: u32,
}

/// Finds the format of a log by scoring its first lines, of which up to 200 are looked at.
///
/// # Errors
/// [`FormatFault::Undetected`] when nothing fits, with what was tried.
pub fn detect(lines: &[&str], fields: &FieldMap) -> Result<Detection, FormatFault> {
    detect_written(lines, fields, None)
}

/// The same for lines out of a wrapper that knows when they were written: they need not say it themselves.
///
/// # Errors
/// As [`detect`].
pub fn detect_wrapped(lines: &[&str], fields: &FieldMap) -> Result<Detection, FormatFault> {
    detect_written(lines, fields, Some(Time::default()))
}

fn detect_written(
    lines: &[&str],
    fields: &FieldMap,
    written: Option<Time>,
) -> Result<Detection, FormatFault> {
    // Directives describe the lines after them, so they stay among those that are looked at.
    let lines: Vec<&str> = lines.iter().take(LINES_MAX).copied().collect();
    let mut judged: Vec<Detection> = Vec::new();
    for format in ALL {
        judged.push(judge(format.parser(fields), &lines, written));
        if judged.last().is_some_and(|last| rank(last) >= 1.0) {
            break; // none of those behind it can be better, and of equals the first wins
        }
    }
    // Of equals the first wins, and `max_by` takes the last.
    let best = judged
        .iter()
        .rev()
        .max_by(|a, b| rank(a).total_cmp(&rank(b)));
    match best {
        Some(best) if best.confidence >= CONFIDENCE_MIN || best.whole >= WHOLE_MIN => {
            let others = ALL.iter().filter(|one| one.name != best.parser.name());
            let others = others.map(|other| other.parser(fields));
            Ok(Detection {
                parser: Mixed::of(&best.parser, others),
                ..best.clone()
            })
        }
        _ => Err(FormatFault::Undetected {
            lines: lines.iter().filter(|line| !is_blank(line)).count(),
            tried: tried(&judged),
        }),
    }
}

/// How a format stands among others: what reads a little of everything must read twice as much.
fn rank(judged: &Detection) -> f64 {
    let share = if judged.parser.name() == loose::FORMAT.name {
        0.5
    } else {
        1.0
    };
    judged.confidence * share
}

fn is_blank(line: &str) -> bool {
    let text = line.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}');
    text.is_empty() || text.starts_with('#')
}

fn judge(parser: Parser, lines: &[&str], written: Option<Time>) -> Detection {
    let (mut total, mut parsed, mut whole, mut shapes) = (0u32, 0, 0, 0.0);
    let mut following = parser.clone();
    for line in lines {
        following.follow(line);
        if is_blank(line) {
            continue;
        }
        total += 1;
        let mut event = AccessEvent::default();
        if following.read(line, written, &mut event).is_ok() {
            let shape = shape(&event);
            parsed += 1;
            whole += u32::from(shape >= 1.0 && event.kind == EventKind::Request);
            shapes += shape;
        }
    }
    Detection {
        parser,
        confidence: shapes / f64::from(total.max(1)),
        lines: total as usize,
        parsed,
        whole,
    }
}

/// How much of an access log's event is there, from 0 to 1. A time is always there, so it counts for nothing.
pub(super) fn shape(event: &AccessEvent<'_>) -> f64 {
    match event.kind {
        EventKind::Request => {}
        // Only a format that knows such lines makes one of them.
        EventKind::Note => return if event.client.is_some() { 0.75 } else { 0.25 },
        _ => return 1.0,
    }
    let parts = [
        event.client.is_some(),
        event.status != 0,
        event.path.is_some(),
        event.method.is_some() || event.status >= 400,
    ];
    parts.iter().filter(|part| **part).count() as f64 / parts.len() as f64
}

/// What came nearest, best first; most formats read nothing of another's lines.
fn tried(judged: &[Detection]) -> String {
    let mut nearest: Vec<_> = judged.iter().filter(|one| one.parsed > 0).collect();
    nearest.sort_by_key(|one| Reverse(one.parsed));
    let each = nearest.iter().take(NEAREST).map(|one| {
        let percent = 100 * one.parsed / one.lines.max(1);
        format!("{} reads {percent} %", one.parser.name())
    });
    let said = each.collect::<Vec<_>>().join(", ");
    match said.is_empty() {
        true => format!("none of {} reads any", judged.len()),
        false => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMBINED: &str =
        r#"192.0.2.1 - - [04/May/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8.5""#;
    const JSON: &str = r#"{"time_iso8601":"2026-05-04T10:11:12Z","remote_addr":"192.0.2.1","request":"GET / HTTP/1.1","status":"200"}"#;
    const LOGFMT: &str =
        r#"time=2026-05-04T10:11:12Z remote_addr=192.0.2.1 method=GET path=/ status=200"#;
    const LTSV: &str =
        "time:[04/May/2026:10:11:12 +0000]\thost:192.0.2.1\treq:GET / HTTP/1.1\tstatus:200";
    const MANAGER: &str = r#"[04/May/2026:10:11:12 +0000] - 200 200 - GET https example.com "/" [Client 192.0.2.1] [Length 5] [Gzip -] [Sent-to app] "curl/8.5" "-""#;

    #[test]
    fn each_format_is_known_by_one_line() {
        for (line, name) in [
            (COMBINED, "combined"),
            (JSON, "json"),
            (LOGFMT, "logfmt"),
            (LTSV, "ltsv"),
            (MANAGER, "nginx_proxy_manager"),
        ] {
            let found = detect(&[line], &FieldMap::default()).unwrap();
            assert_eq!(
                (found.parser.name(), found.confidence),
                (name, 1.0),
                "{line}"
            );
        }
    }

    #[test]
    fn blank_lines_comments_and_a_few_strange_ones_do_not_mislead() {
        let lines = ["# log", "", COMBINED, "garbage", COMBINED, "\0\0", COMBINED];
        let found = detect(&lines, &FieldMap::default()).unwrap();
        assert_eq!(
            (found.parser.name(), found.lines, found.parsed),
            ("combined", 4, 3)
        );
        assert_eq!(found.confidence, 0.75);
    }

    #[test]
    fn three_whole_requests_among_much_else_are_enough() {
        let mut lines = vec!["2026-05-04 10:11:12 INFO worker started"; 100];
        lines.extend([COMBINED; 2]);
        assert!(detect(&lines, &FieldMap::default()).is_err());
        lines.push(COMBINED);
        let found = detect(&lines, &FieldMap::default()).unwrap();
        assert_eq!(found.parser.name(), "combined");
    }

    #[test]
    fn a_log_of_another_kind_is_refused_with_what_was_tried() {
        for lines in [
            &["May  4 10:11:12 host sshd[1]: Accepted publickey for root"][..],
            &[r#"{"time":"2026-05-04T10:11:12Z","level":"info","msg":"started"}"#],
            &[],
        ] {
            let fault = detect(lines, &FieldMap::default()).unwrap_err().to_string();
            assert!(
                fault.contains("reads") && fault.contains("--format"),
                "{fault}"
            );
        }
    }

    #[test]
    fn a_field_map_makes_a_log_of_ones_own_readable() {
        let line = r#"{"when":1777889472,"who":"192.0.2.1","what":"GET / HTTP/1.1","code":200}"#;
        let pairs = [
            ("time", "when"),
            ("client", "who"),
            ("request", "what"),
            ("status", "code"),
        ];
        let found = detect(&[line], &FieldMap::new(pairs).unwrap()).unwrap();
        assert_eq!((found.parser.name(), found.confidence), ("json", 1.0));
    }
}
