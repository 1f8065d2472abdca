//! Modifiers: what stands behind a field's name, `url.path|contains|all`.
//!
//! In: a key, a value. Out: [`Modifiers`], and the [`Matcher`]s a value stands for under them.
//! Does not know: selections, conditions.
//! Source: Sigma specification v2, appendix "Modifiers",
//! <https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html>.

use super::matcher::{Case, Compare, Flags, Matcher, Piece, Place, Shape, pieces, regex};
use super::moment::Part;
use super::yaml::{Kind, Node};
use crate::domain::usage::Field;
use data_encoding::BASE64;

/// Every modifier that is understood, to suggest one.
pub(super) const NAMES: &[&str] = &[
    "contains",
    "startswith",
    "endswith",
    "all",
    "re",
    "i",
    "m",
    "s",
    "cidr",
    "exists",
    "cased",
    "windash",
    "base64",
    "base64offset",
    "utf16le",
    "utf16be",
    "utf16",
    "wide",
    "lt",
    "lte",
    "gt",
    "gte",
    "fieldref",
    "neq",
    "expand",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
];

/// Five characters can each stand for a dash, so this many dashes make 625 patterns.
const DASHES_MAX: usize = 4;

/// How a field's values are to be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Modifiers {
    pub(super) all: bool,
    pub(super) negated: bool,
    pub(super) is_reference: bool,
    place: Place,
    case: Case,
    kind: ValueKind,
    dashes: bool,
    expands: bool,
    part: Option<Part>,
    encodings: Vec<Encoding>,
}

#[derive(Clone, Copy, Debug, Default)]
enum ValueKind {
    #[default]
    Plain,
    Regex(Flags),
    Cidr,
    Exists,
    Number(Compare),
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    Utf16Le,
    Utf16Be,
    Utf16,
    Base64,
    Base64Offset,
}

impl Modifiers {
    /// Reads the modifiers of a key, in their order.
    pub(super) fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut modifiers = Self::default();
        for name in names {
            modifiers.add(name)?;
        }
        Ok(modifiers)
    }

    fn add(&mut self, name: &str) -> Result<(), String> {
        match (name, &mut self.kind) {
            ("i", ValueKind::Regex(flags)) => flags.ignore_case = true,
            ("m", ValueKind::Regex(flags)) => flags.multi_line = true,
            ("s", ValueKind::Regex(flags)) => flags.dot_matches_line_end = true,
            ("i" | "m" | "s", _) => return Err(format!("`{name}` stands only after `re`")),
            ("contains", _) => self.place = Place::Inside,
            ("startswith", _) => self.place = Place::Start,
            ("endswith", _) => self.place = Place::End,
            ("all", _) => self.all = true,
            ("neq", _) => self.negated = true,
            ("cased", _) => self.case = Case::Kept,
            ("fieldref", _) => self.is_reference = true,
            ("windash", _) => self.dashes = true,
            ("re", kind) => *kind = ValueKind::Regex(Flags::default()),
            ("cidr", kind) => *kind = ValueKind::Cidr,
            ("exists", kind) => *kind = ValueKind::Exists,
            ("lt", kind) => *kind = ValueKind::Number(Compare::Less),
            ("lte", kind) => *kind = ValueKind::Number(Compare::LessOrEqual),
            ("gt", kind) => *kind = ValueKind::Number(Compare::Greater),
            ("gte", kind) => *kind = ValueKind::Number(Compare::GreaterOrEqual),
            ("utf16le" | "wide", _) => self.encodings.push(Encoding::Utf16Le),
            ("utf16be", _) => self.encodings.push(Encoding::Utf16Be),
            ("utf16", _) => self.encodings.push(Encoding::Utf16),
            ("base64", _) => self.encodings.push(Encoding::Base64),
            ("base64offset", _) => self.encodings.push(Encoding::Base64Offset),
            ("expand", _) => self.expands = true,
            _ => match Part::of_name(name) {
                Some(part) => self.part = Some(part),
                None => return Err(format!("unknown modifier `{name}`")),
            },
        }
        Ok(())
    }

    /// The matchers one value stands for; any of them is enough.
    pub(super) fn matchers(&self, value: &Node) -> Result<Vec<Matcher>, String> {
        let matchers = self.matchers_of_whole(value)?;
        let Some(part) = self.part else {
            return Ok(matchers);
        };
        let of_part = |matcher| match matcher {
            Matcher::Number(compare, limit) => Ok(Matcher::Part(part, compare, limit)),
            _ => Err(format!("expected a number, not {}", value.noun())),
        };
        matchers.into_iter().map(of_part).collect()
    }

    fn matchers_of_whole(&self, value: &Node) -> Result<Vec<Matcher>, String> {
        let text = match &value.kind {
            Kind::List(_) | Kind::Map(_) => {
                return Err(format!("expected one value, not {}", value.noun()));
            }
            Kind::Null if matches!(self.kind, ValueKind::Plain) => {
                return Ok(vec![Matcher::Exists(false)]);
            }
            Kind::Null => String::new(),
            Kind::Bool(is) => is.to_string(),
            Kind::Number(number) => number.to_string(),
            Kind::Text(text) => text.clone(),
        };
        if let Some(name) = placeholder(&text).filter(|_| self.expands) {
            return Err(format!(
                "the placeholder `%{name}%` has no values here: write them out"
            ));
        }
        let matcher = match self.kind {
            ValueKind::Regex(flags) => Matcher::Regex(regex(&text, flags)?),
            ValueKind::Cidr => Matcher::Cidr(network(&text)?),
            ValueKind::Exists => match value.kind {
                Kind::Bool(exists) => Matcher::Exists(exists),
                _ => return Err("expected true or false".into()),
            },
            ValueKind::Number(compare) => match text.trim().parse() {
                Ok(limit) => Matcher::Number(compare, limit),
                Err(_) => return Err(format!("expected a number, not {}", value.noun())),
            },
            ValueKind::Plain => return self.plain(value, &text),
        };
        Ok(vec![matcher])
    }

    fn plain(&self, value: &Node, text: &str) -> Result<Vec<Matcher>, String> {
        let is_whole = self.place == Place::Whole && self.encodings.is_empty();
        match value.kind {
            Kind::Number(number) if is_whole => {
                return Ok(vec![Matcher::Number(Compare::Equal, number)]);
            }
            // A flag that is false is not there.
            Kind::Bool(false) if is_whole => {
                let text = Shape::new(pieces(text), Place::Whole, self.case)?;
                return Ok(vec![Matcher::Exists(false), Matcher::Text(text)]);
            }
            _ => (),
        }
        let variants = self.variants(text)?;
        let mut matchers = Vec::with_capacity(variants.len() + 1);
        // nginx and Apache write `-` where there is nothing, which is read as nothing.
        if is_whole && matches!(text, "" | "-") {
            matchers.push(Matcher::Exists(false));
        }
        for variant in variants {
            matchers.push(Matcher::Text(Shape::new(variant, self.place, self.case)?));
        }
        Ok(matchers)
    }

    /// The other field that a value names, under `fieldref`.
    pub(super) fn reference(&self, field: Option<Field>) -> Matcher {
        Matcher::Same(field, self.place, self.case)
    }

    fn variants(&self, text: &str) -> Result<Vec<Vec<Piece>>, String> {
        let texts = if self.dashes {
            dashed(text)?
        } else {
            vec![text.to_owned()]
        };
        if self.encodings.is_empty() {
            return Ok(texts.iter().map(|text| pieces(text)).collect());
        }
        let mut variants: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
        for encoding in &self.encodings {
            let encode = |bytes: &Vec<u8>| encoding.encode(bytes);
            variants = variants.iter().flat_map(encode).collect();
        }
        let literal = |bytes| {
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| "UTF-16 stands only before base64 here".to_owned())?;
            Ok(vec![Piece::Literal(text)])
        };
        variants.into_iter().map(literal).collect()
    }
}

/// The first placeholder of a text: `%admins%` (Sigma rules specification 2.1, "Placeholders").
fn placeholder(text: &str) -> Option<&str> {
    let (_, after) = text.split_once('%')?;
    let (name, _) = after.split_once('%')?;
    (!name.is_empty()).then_some(name)
}

fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let address = || text.parse().map(std::net::IpAddr::into).ok();
    let parsed = text.parse().ok().or_else(address);
    parsed.ok_or_else(|| format!("`{text}` is no network like 192.0.2.0/24"))
}

impl Encoding {
    fn encode(self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let text = String::from_utf8_lossy(bytes);
        let units = text.encode_utf16();
        match self {
            Self::Utf16Le => vec![units.flat_map(u16::to_le_bytes).collect()],
            Self::Utf16Be => vec![units.flat_map(u16::to_be_bytes).collect()],
            Self::Utf16 => {
                let marked = std::iter::once(0xfeff).chain(units);
                vec![marked.flat_map(u16::to_le_bytes).collect()]
            }
            Self::Base64 => vec![BASE64.encode(bytes).into_bytes()],
            Self::Base64Offset => (0..3).map(|offset| base64_at(bytes, offset)).collect(),
        }
    }
}

/// What is left of the base64 of something in whose middle the bytes stand, `offset` bytes after a multiple of three.
fn base64_at(bytes: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![b' '; offset];
    padded.extend_from_slice(bytes);
    let encoded = BASE64.encode(&padded).into_bytes();
    // Letters that also hold bits of what stands before or after are unknown.
    let start = [0, 2, 3][offset];
    let cut = [0, 3, 2][padded.len() % 3];
    encoded
        .get(start..encoded.len().saturating_sub(cut))
        .map_or_else(Vec::new, <[u8]>::to_vec)
}

/// The text with each leading dash or slash of a word as each of the characters Windows takes for one.
fn dashed(text: &str) -> Result<Vec<String>, String> {
    let mut variants = vec![String::new()];
    let mut dashes = 0;
    let mut before = ' ';
    for letter in text.chars() {
        let choices: &[char] = match letter {
            '-' | '/' if !before.is_alphanumeric() => {
                dashes += 1;
                &['-', '/', '\u{2013}', '\u{2014}', '\u{2015}']
            }
            _ => &[letter],
        };
        if dashes > DASHES_MAX {
            return Err(format!("`windash` takes at most {DASHES_MAX} dashes"));
        }
        let longer = |variant: &String| {
            let variant = variant.clone();
            choices
                .iter()
                .map(move |choice| format!("{variant}{choice}"))
        };
        variants = variants.iter().flat_map(longer).collect();
        before = letter;
    }
    Ok(variants)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(key: &str, value: &str) -> Vec<String> {
        let modifiers = Modifiers::parse(key.split('|')).unwrap();
        let value = Node {
            span: 0..0,
            kind: Kind::Text(value.into()),
        };
        let matchers = modifiers.matchers(&value).unwrap();
        let literal = |matcher| match matcher {
            Matcher::Text(shape) => shape.literal(),
            other => format!("{other:?}"),
        };
        matchers.into_iter().map(literal).collect()
    }

    #[test]
    fn encodings_are_those_of_the_specification() {
        assert_eq!(literals("wide|base64|contains", "ping"), ["cabpag4azwa="]);
        assert_eq!(
            literals("base64offset|contains", "/bin/bash"),
            ["l2jpbi9iyxno", "9iaw4vymfza", "vymlul2jhc2"]
        );
        assert_eq!(literals("windash|contains", " -f").len(), 5);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for (key, part) in [("i", "after `re`"), ("like", "unknown")] {
            assert!(Modifiers::parse(key.split('|')).unwrap_err().contains(part));
        }
    }

    #[test]
    fn a_placeholder_is_refused_by_its_name() {
        let modifiers = Modifiers::parse(["expand"].into_iter()).unwrap();
        let value = |text: &str| Node {
            span: 0..0,
            kind: Kind::Text(text.into()),
        };
        let refused = modifiers.matchers(&value("%admins%")).unwrap_err();
        assert!(refused.contains("`%admins%`"), "{refused}");
        assert!(modifiers.matchers(&value("100 %")).is_ok());
    }
}
