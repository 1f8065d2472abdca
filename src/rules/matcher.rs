//! One test of one field, ready to run.
//!
//! In: patterns and numbers of a rule; a [`Value`]. Out: whether they fit.
//! Does not know: which field, or how tests are joined.
//! Source: Sigma specification v2, "Wildcards" and "Escaping",
//! <https://sigmahq.io/sigma-specification/specification/sigma-rules-specification.html>.

use super::moment::Part;
use crate::domain::usage::{Field, Value, View};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::net::IpAddr;

/// A compiled expression may take this much; a real rule's takes a hundredth of it.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// What a value must be.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    /// Text of this shape.
    Text(Shape),
    /// Text in which this expression is found.
    Regex(Regex),
    /// A number on this side of another.
    Number(Compare, f64),
    /// A time of which this part is on this side of a number.
    Part(Part, Compare, f64),
    /// An address in this network.
    Cidr(IpNet),
    /// There (true) or not there (false).
    Exists(bool),
    /// Text that stands so to another field's text.
    Same(Option<Field>, Place, Case),
}

/// On which side of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Compare {
    /// The first whole number at which a count that grows changes the answer.
    pub(super) fn turns_at(self, limit: f64) -> f64 {
        match self {
            Self::Less | Self::Equal | Self::GreaterOrEqual => limit.ceil(),
            Self::LessOrEqual | Self::Greater => limit.floor() + 1.0,
        }
    }

    /// True when the value is on this side of the limit.
    pub(super) fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Equal => (value - limit).abs() <= f64::EPSILON * limit.abs(),
            Self::GreaterOrEqual => value >= limit,
            Self::Greater => value > limit,
        }
    }
}

/// Whether upper and lower case differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Case {
    /// They do not: Sigma's default.
    #[default]
    Ignored,
    /// They do (`cased`).
    Kept,
}

impl Case {
    /// The text as it is compared.
    fn fold(self, text: &str) -> Cow<'_, str> {
        let is_folded = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
        match self {
            Self::Ignored if !text.bytes().all(is_folded) => Cow::Owned(text.to_lowercase()),
            _ => Cow::Borrowed(text),
        }
    }
}

/// Where in a text another stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Whole,
    Start,
    End,
    Inside,
}

impl Place {
    fn holds(self, text: &str, part: &str) -> bool {
        match self {
            Self::Whole => text == part,
            Self::Start => text.starts_with(part),
            Self::End => text.ends_with(part),
            Self::Inside => text.contains(part),
        }
    }
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    /// `?`
    One,
    /// `*`
    Many,
}

/// A pattern with wildcards, in its cheapest form.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// One literal at one place, case folded.
    Literal(Place, String, Case),
    /// Anything else, with the longest literal that it holds.
    Wild(Regex, String),
}

/// The pieces of a pattern. A backslash takes the meaning from `*`, `?` and itself, and is itself elsewhere.
pub(super) fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        let wildcard = match letter {
            '*' => Piece::Many,
            '?' => Piece::One,
            '\\' => {
                let escaped = letters.next_if(|next| matches!(next, '*' | '?' | '\\'));
                literal.push(escaped.unwrap_or('\\'));
                continue;
            }
            other => {
                literal.push(other);
                continue;
            }
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        if wildcard == Piece::One || pieces.last() != Some(&Piece::Many) {
            pieces.push(wildcard);
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    pieces
}

impl Shape {
    /// The pieces at a place of the text.
    pub(super) fn new(mut pieces: Vec<Piece>, place: Place, case: Case) -> Result<Self, String> {
        if matches!(place, Place::End | Place::Inside) && pieces.first() != Some(&Piece::Many) {
            pieces.insert(0, Piece::Many);
        }
        if matches!(place, Place::Start | Place::Inside) && pieces.last() != Some(&Piece::Many) {
            pieces.push(Piece::Many);
        }
        let (place, literal) = match pieces.as_slice() {
            [] => (Place::Whole, ""),
            [Piece::Many] => (Place::Inside, ""),
            [Piece::Literal(text)] => (Place::Whole, text.as_str()),
            [Piece::Literal(text), Piece::Many] => (Place::Start, text.as_str()),
            [Piece::Many, Piece::Literal(text)] => (Place::End, text.as_str()),
            [Piece::Many, Piece::Literal(text), Piece::Many] => (Place::Inside, text.as_str()),
            _ => return Self::wild(&pieces, case),
        };
        Ok(Self::Literal(place, case.fold(literal).into_owned(), case))
    }

    fn wild(pieces: &[Piece], case: Case) -> Result<Self, String> {
        let mut expression = String::from(r"\A");
        let mut longest = "";
        for piece in pieces {
            match piece {
                Piece::Literal(text) => expression.push_str(&regex::escape(text)),
                Piece::One => expression.push('.'),
                Piece::Many => expression.push_str(".*"),
            }
            if let Piece::Literal(text) = piece
                && text.len() > longest.len()
            {
                longest = text;
            }
        }
        expression.push_str(r"\z");
        let flags = Flags {
            ignore_case: case == Case::Ignored,
            dot_matches_line_end: true,
            ..Flags::default()
        };
        Ok(Self::Wild(
            regex(&expression, flags)?,
            longest.to_lowercase(),
        ))
    }

    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Literal(place, literal, case) => place.holds(&case.fold(text), literal),
            Self::Wild(regex, _) => regex.is_match(text),
        }
    }

    /// A literal without which the pattern cannot fit, lower case; empty when there is none.
    pub(super) fn literal(&self) -> String {
        match self {
            Self::Literal(_, literal, _) => literal.to_lowercase(),
            Self::Wild(_, literal) => literal.clone(),
        }
    }
}

/// Flags of a regular expression.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_matches_line_end: bool,
}

/// A regular expression within bounds.
pub(super) fn regex(expression: &str, flags: Flags) -> Result<Regex, String> {
    RegexBuilder::new(expression)
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_matches_line_end)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or("not a regular expression");
            reason.trim_start_matches("error: ").to_owned()
        })
}

impl Matcher {
    /// True when the value is as it must be. What is not there fits nothing but its own absence.
    pub(super) fn holds(&self, value: &Value<'_>, view: &View<'_>) -> bool {
        match self {
            Self::Exists(exists) => (*value != Value::Absent) == *exists,
            Self::Number(compare, limit) => {
                number(value).is_some_and(|value| compare.holds(value, *limit))
            }
            Self::Part(part, compare, limit) => text(value)
                .and_then(|text| part.of(&text))
                .is_some_and(|value| compare.holds(value, *limit)),
            Self::Text(shape) => text(value).is_some_and(|text| shape.holds(&text)),
            Self::Regex(regex) => text(value).is_some_and(|text| regex.is_match(&text)),
            Self::Cidr(network) => text(value)
                .and_then(|text| text.parse::<IpAddr>().ok())
                .is_some_and(|address| network.contains(&address.to_canonical())),
            Self::Same(other, place, case) => {
                let other = other.map_or(Value::Absent, |field| view.value(field));
                let (Some(text), Some(other)) = (text(value), text(&other)) else {
                    return false;
                };
                place.holds(&case.fold(&text), &case.fold(&other))
            }
        }
    }
}

/// The value as text.
pub(super) fn text<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    match value {
        Value::Absent => None,
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Flag => Some(Cow::Borrowed("true")),
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Absent => None,
        Value::Number(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Flag => Some(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &str, place: Place, case: Case, text: &str) -> bool {
        Shape::new(pieces(pattern), place, case)
            .unwrap()
            .holds(text)
    }

    #[test]
    fn wildcards_fit_as_sigma_says() {
        let whole = |pattern, text| fits(pattern, Place::Whole, Case::Ignored, text);
        assert!(whole("Curl/*", "curl/8.5.0"));
        assert!(whole("*WGET*", "GNU wget 1"));
        assert!(whole("a?c*e", "ABCDE"));
        assert!(!whole("a?c", "ac"));
        assert!(whole("*", "") && whole("", "") && !whole("", "x"));
        assert!(whole(r"100\%\*", r"100\%*"));
        assert!(whole(r"c:\\*", r"C:\windows"));
        assert!(!whole(r"\*", "x") && whole(r"\*", "*"));
        assert!(whole("\u{c9}T\u{c9}", "\u{e9}t\u{e9}"));
    }

    #[test]
    fn places_and_case_are_kept() {
        assert!(fits("b", Place::Inside, Case::Ignored, "ABC"));
        assert!(!fits("b", Place::Inside, Case::Kept, "ABC"));
        assert!(fits("a*c", Place::Start, Case::Kept, "abcd"));
        assert!(!fits("a*c", Place::End, Case::Kept, "abcd"));
    }

    #[test]
    fn a_regular_expression_without_end_is_refused() {
        assert!(regex(r"(\w{1000}){1000}", Flags::default()).is_err());
        assert!(regex("(", Flags::default()).is_err());
    }

    proptest! {
        /// The plain algorithm: dynamic programming over characters.
        #[test]
        fn a_pattern_fits_what_the_textbook_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            let mut fit = vec![vec![false; t.len() + 1]; p.len() + 1];
            fit[0][0] = true;
            for i in 1..=p.len() {
                for j in 0..=t.len() {
                    fit[i][j] = match p[i - 1] {
                        '*' => fit[i - 1][j] || (j > 0 && fit[i][j - 1]),
                        '?' => j > 0 && fit[i - 1][j - 1],
                        letter => j > 0 && fit[i - 1][j - 1] && t[j - 1] == letter,
                    };
                }
            }
            prop_assert_eq!(
                fits(&pattern, Place::Whole, Case::Ignored, &text),
                fit[p.len()][t.len()]
            );
        }
    }
}
