//! What each expression needs, and that this leaves out none that fits.

use super::{BETWEEN_NEEDS, BETWEEN_WORDS, WORD_BYTES_MIN};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::fmt::Write;

/// Words of which one is in every text that an expression fits, in lower case.
type Need = Vec<String>;

/// The list that [`super::Expressions::new`] takes, of uap-core's expressions.
pub(in crate::context) fn list(expressions: &[serde_json::Value]) -> String {
    let mut list = String::new();
    for expression in expressions {
        let regex = expression["regex"].as_str().unwrap();
        let needs = needs(&regex_syntax::parse(regex).unwrap());
        let needs: Vec<String> = needs
            .iter()
            .map(|need| need.join(&BETWEEN_WORDS.to_string()))
            .collect();
        let needs = needs.join(&BETWEEN_NEEDS.to_string());
        writeln!(list, "{needs}\n{expression}").unwrap();
    }
    list
}

/// Everything that no fit is without, the rarest first: the shortest word is the likeliest to be there for nothing.
fn needs(hir: &Hir) -> Vec<Need> {
    let mut needs = all_needs(hir);
    needs.sort_by_key(|need| std::cmp::Reverse(need.iter().map(String::len).min()));
    needs.dedup();
    needs
}

fn all_needs(hir: &Hir) -> Vec<Need> {
    if let Some(text) = literal(hir) {
        return Vec::from_iter(is_rare(&text).then(|| vec![text]));
    }
    match hir.kind() {
        HirKind::Capture(capture) => all_needs(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => all_needs(&repetition.sub),
        HirKind::Alternation(parts) => {
            // One need, with the rarest of every part.
            let rarest = |part| needs(part).into_iter().next();
            let words: Option<Vec<Need>> = parts.iter().map(rarest).collect();
            words.map(|words| words.concat()).into_iter().collect()
        }
        HirKind::Concat(parts) => {
            let runs = runs(parts).into_iter().filter(|run| is_rare(run));
            let inside = parts.iter().filter(|part| literal(part).is_none());
            runs.map(|run| vec![run])
                .chain(inside.flat_map(all_needs))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn is_rare(word: &str) -> bool {
    word.len() >= WORD_BYTES_MIN
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
        HirKind::Capture(capture) => literal(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(literal).collect(),
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
        ("(GeoEvent Server) (\\d+)", &[&["geoevent server "][..]][..]),
        ("(?i:fire)fox/(\\d+)", &[&["firefox/"]]),
        ("(Chrome|CriOS)/(\\d+)", &[&["chrome", "crios"]]),
        ("(Tablet);.*Firefox/", &[&["firefox/"], &["tablet;"]]),
        ("(iPod|iPad)?;.*Version/", &[&["version/"]]),
        ("Gecko.{1,200}(NX)/(\\d+)", &[&["gecko"], &["nx/"]]),
        ("(\\d+)", &[]),
        ("(?:abc|\\d+)x", &[]),
    ] {
        let needs = needs(&regex_syntax::parse(regex).unwrap());
        assert_eq!(needs, expected, "{regex}");
    }
}
