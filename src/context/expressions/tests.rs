//! What each expression needs, and that this leaves out none that fits.

use super::BETWEEN_NEEDS;
use regex_syntax::hir::{Class, Hir, HirKind};
use std::fmt::Write;

/// Needs shorter than this are in nearly every user agent.
const NEED_BYTES_MIN: usize = 3;

/// The list that [`super::Expressions::new`] takes, of uap-core's expressions.
pub(in crate::context) fn list(expressions: &[serde_json::Value]) -> String {
    let mut list = String::new();
    for expression in expressions {
        let regex = expression["regex"].as_str().unwrap();
        let needs = needs(&regex_syntax::parse(regex).unwrap()).unwrap_or_default();
        let needs = needs.join(&BETWEEN_NEEDS.to_string());
        writeln!(list, "{needs}\n{expression}").unwrap();
    }
    list
}

/// Literals of which one is in every text that the expression fits, in lower case; `None` where none must be.
fn needs(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => needs(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needs(&repetition.sub),
        HirKind::Alternation(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(needs).collect();
            parts.map(|parts| parts.concat())
        }
        HirKind::Concat(parts) => {
            let runs = runs(parts).into_iter().map(|run| vec![run]);
            let inside = parts.iter().filter_map(needs);
            let all = runs.chain(inside).filter(|needs| is_rare(needs));
            // The shortest literal is the likeliest to be there for nothing.
            all.max_by_key(|needs| needs.iter().map(String::len).min())
        }
        HirKind::Literal(_) => Some(runs(std::slice::from_ref(hir))).filter(|needs| is_rare(needs)),
        _ => None,
    }
}

fn is_rare(needs: &[String]) -> bool {
    !needs.is_empty() && needs.iter().all(|need| need.len() >= NEED_BYTES_MIN)
}

/// Neighbouring literals, and letters in either case, as one.
fn runs(parts: &[Hir]) -> Vec<String> {
    let mut runs = vec![String::new()];
    for part in parts {
        match (literal(part), runs.last_mut()) {
            (Some(text), Some(last)) => last.push_str(&text),
            _ => runs.push(String::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn literal(part: &Hir) -> Option<String> {
    match part.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            text.is_ascii().then(|| text.to_ascii_lowercase())
        }
        HirKind::Class(Class::Unicode(class)) => {
            let mut letters = class
                .ranges()
                .iter()
                .map(|range| (range.start(), range.end()));
            match (letters.next(), letters.next(), letters.next()) {
                (Some((a, b)), Some((c, d)), None)
                    if a == b && c == d && c.is_ascii() && a == c.to_ascii_uppercase() =>
                {
                    Some(c.to_string())
                }
                _ => None,
            }
        }
        _ => None,
    }
}

#[test]
fn an_expression_needs_what_no_fit_is_without() {
    for (regex, expected) in [
        ("(GeoEvent Server) (\\d+)", &["geoevent server"][..]),
        ("(?i:fire)fox/(\\d+)", &["firefox/"]),
        ("(Chrome|CriOS)/(\\d+)", &["chrome", "crios"]),
        ("(iPod|iPad)?;.*Version/", &["version/"]),
        ("(\\d+)", &[]),
        ("(?:abc|\\d+)x", &[]),
    ] {
        let needs = needs(&regex_syntax::parse(regex).unwrap()).unwrap_or_default();
        assert_eq!(needs, expected, "{regex}");
    }
}
