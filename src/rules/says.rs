//! What a finding says: a sentence with values in it.
//!
//! In: `used {travel.distance_km} away`, a [`View`]. Out: text that people can read and that holds no token.
//! Does not know: the rule.

use super::matcher::text;
use crate::domain::facts::{Fact, FactKind};
use crate::domain::mask::mask;
use crate::domain::mistake::nearest;
use crate::domain::time::Time;
use crate::domain::usage::{Field, Value, View};

/// What one value may add to a sentence: longer ones are paths and agents made to flood a screen.
const VALUE_LENGTH_MAX: usize = 120;

/// What a template may hold: two lines of a terminal.
const TEMPLATE_LENGTH_MAX: usize = 240;

/// A sentence with places for values.
#[derive(Clone, Debug, Default)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Value(Field),
}

impl Template {
    /// Reads a template.
    pub(super) fn parse(template: &str) -> Result<Self, String> {
        if template.len() > TEMPLATE_LENGTH_MAX {
            return Err(format!("longer than {TEMPLATE_LENGTH_MAX} bytes"));
        }
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err("a `{` without `}`".into());
            };
            let field = Field::of_name(name).ok_or_else(|| unknown(name))?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Value(field));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// A sentence without places.
    pub(super) fn plain(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// The facts that are shown.
    pub(super) fn facts(&self) -> impl Iterator<Item = Fact> + '_ {
        self.0.iter().filter_map(|part| match part {
            Part::Value(Field::Fact(fact)) => Some(*fact),
            _ => None,
        })
    }

    /// The sentence for a view.
    pub(super) fn fill(&self, view: &View<'_>) -> String {
        let mut sentence = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => sentence.push_str(text),
                Part::Value(field) => sentence.push_str(&shown(*field, &view.value(*field))),
            }
        }
        mask(&sentence).into_owned()
    }
}

fn unknown(name: &str) -> String {
    let near = nearest(name, super::detection::field_names());
    let near = near.map(|near| format!(": did you mean `{near}`?"));
    format!("unknown field `{name}`{}", near.unwrap_or_default())
}

/// What stands in a sentence for a value nobody knows.
fn missing(field: Field) -> &'static str {
    match field {
        Field::UserAgentOs | Field::OtherClientOs => "an unknown system",
        Field::UserAgentName | Field::OtherClientName => "an unknown client",
        Field::SourceOrganisation | Field::OtherOrganisation => "an unknown network",
        Field::SourcePlace | Field::SourceCountry => "an unknown place",
        Field::OtherPlace | Field::OtherCountry => "an unknown place",
        Field::UserAgentVersion | Field::OtherClientVersion => "an unknown version",
        _ => "unknown",
    }
}

/// A value as people read it.
fn shown(field: Field, value: &Value<'_>) -> String {
    let number = match value {
        Value::Number(number) => *number,
        Value::Flag => return "yes".into(),
        Value::Absent => return missing(field).into(),
        Value::Text(_) => return cleaned(&text(value).unwrap_or_default()),
    };
    let name = field.name();
    match field {
        Field::IssuedAt | Field::NotBefore | Field::Expires => moment(number),
        _ if name.ends_with("_km") => format!("{} km", grouped(rounded(number))),
        _ if name.ends_with("_kmh") => format!("{} km/h", grouped(rounded(number))),
        _ if name.ends_with("_s") => duration(number),
        _ if name.ends_with("_ms") => duration(number / 1000.0),
        Field::Fact(fact) if fact.kind() != FactKind::Flag => grouped(number.round()),
        _ => format!("{number}"),
    }
}

/// Text of a log without what could move a cursor or hide, cut where it is long.
fn cleaned(text: &str) -> String {
    // Masked before it is cut: half a token must not slip through.
    let masked = mask(text);
    let mut cleaned = String::new();
    for letter in masked.chars() {
        if cleaned.len() >= VALUE_LENGTH_MAX {
            cleaned.push('\u{2026}');
            break;
        }
        match letter {
            // Controls, and the marks that turn or hide text (Unicode Technical Report 36, section 2.10).
            _ if letter.is_control() => cleaned.extend(letter.escape_default()),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                cleaned.extend(letter.escape_default());
            }
            '\u{feff}' => cleaned.push_str("\\u{feff}"),
            _ => cleaned.push(letter),
        }
    }
    cleaned
}

fn moment(second: f64) -> String {
    Time::from_ms((second * 1000.0) as i64).map_or_else(|| "unknown".into(), |t| t.to_string())
}

/// Three digits are all that a place table is worth.
fn rounded(number: f64) -> f64 {
    if number.abs() < 1.0 {
        return number.round();
    }
    let unit = 10f64.powi(number.abs().log10().floor() as i32 - 2).max(1.0);
    (number / unit).round() * unit
}

/// A whole number with a comma at each thousand.
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    if number <= -0.5 {
        format!("-{shown}")
    } else {
        shown
    }
}

/// A span of time in its largest unit, rounded down: `4 minutes`.
fn duration(seconds: f64) -> String {
    let units = [("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)];
    // Two of a unit or more: between one and two hours, minutes say more.
    let large = units
        .into_iter()
        .find(|(_, unit_s)| seconds >= 2.0 * unit_s);
    let (name, unit_s) = large.unwrap_or(("second", 1.0));
    let count = (seconds / unit_s).floor();
    let plural = if count == 1.0 { "" } else { "s" };
    format!("{} {name}{plural}", grouped(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn check(name: &str, value: Value<'_>, expected: &str) {
        assert_eq!(shown(Field::of_name(name).unwrap(), &value), expected);
    }

    #[test]
    fn numbers_are_rounded_to_what_they_are_worth() {
        check("travel.distance_km", Value::Number(11_142.8), "11,100 km");
        check("travel.distance_km", Value::Number(0.2), "0 km");
        check("travel.speed_kmh", Value::Number(167_139.0), "167,000 km/h");
        check("travel.elapsed_s", Value::Number(240.0), "4 minutes");
        check("travel.elapsed_s", Value::Number(60.0), "60 seconds");
        check("session.age_s", Value::Number(1.0), "1 second");
        check(
            "token.lifetime_s",
            Value::Number(86_400.0 * 365.0),
            "365 days",
        );
        check("source.rejected_10m", Value::Number(1500.0), "1,500");
        check("jwt.exp", Value::Number(0.0), "1970-01-01T00:00:00.000Z");
        check("drift.tool", Value::Flag, "yes");
        check("jwt.sub", Value::Absent, "unknown");
    }

    #[test]
    fn hostile_text_cannot_move_the_cursor_flood_or_show_a_token() {
        let evil = "\u{1b}[2J\u{202e}x eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";
        check(
            "user_agent.original",
            Value::Text(Cow::Borrowed(evil)),
            "\\u{1b}[2J\\u{202e}x [token]",
        );
        let long = "\u{e9}".repeat(1000);
        let shown = shown(Field::Path, &Value::Text(Cow::Borrowed(&long)));
        assert!(shown.len() <= VALUE_LENGTH_MAX + 4);
    }

    #[test]
    fn a_template_names_fields_that_are_there() {
        assert!(Template::parse("{travel.speed_kmh} and {jwt.sub}").is_ok());
        let wrong = Template::parse("{travel.speed_kph}").unwrap_err();
        assert!(
            wrong.contains("did you mean `travel.speed_kmh`?"),
            "{wrong}"
        );
        assert!(Template::parse("{travel.speed_kmh").is_err());
    }
}
