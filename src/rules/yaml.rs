//! YAML with places: a tree in which every value knows where it stands.
//!
//! In: text. Out: one [`Node`] for each document, or the one [`Mistake`] that stops reading.
//! Does not know: rules.
//! Source: YAML 1.2.2, <https://yaml.org/spec/1.2.2/>.

use crate::domain::mistake::Mistake;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;
use std::ops::Range;

/// The largest rule of SigmaHQ is below 64 KiB; a file of many rules may be four times that.
const TEXT_LENGTH_MAX: usize = 256 * 1024;

/// A rule nests six deep; anything beyond this is no rule.
const DEPTH_MAX: usize = 24;

/// A value and where it stands, in bytes of the text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of a map's entry and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) span: Range<usize>,
    pub(super) name: String,
}

impl Node {
    /// The entry of that name, when this is a map that has it.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|(key, _)| key.name == name);
        entry.map(|(_, value)| value)
    }

    /// The entries of a map; nothing for any other value.
    pub(super) fn entries(&self) -> &[(Key, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; any other value stands for a list of itself, as Sigma reads it.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.kind {
            Kind::List(elements) => elements,
            _ => std::slice::from_ref(self),
        }
    }

    /// The text, when this is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What to call the value when something else was expected.
    pub(super) fn noun(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

/// The documents of a text. Empty documents are left out.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Mistake> {
    if text.len() > TEXT_LENGTH_MAX {
        return Err(Mistake::outside(format!(
            "the file is larger than {} KiB",
            TEXT_LENGTH_MAX / 1024
        )));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            // Rules need no anchors, and aliases of aliases grow without end.
            max_aliases: 0,
            max_anchors: 0,
        },
        strict_booleans: true,
        with_snippet: false,
    };
    let documents: Vec<Spanned<Kind>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| mistake(&error, text))?;
    Ok(documents
        .into_iter()
        .map(|document| Node::from_spanned(document, text))
        .collect())
}

fn mistake(error: &serde_saphyr::Error, text: &str) -> Mistake {
    let message = error.to_string();
    let message = message.lines().next().unwrap_or("not YAML");
    match error.location() {
        Some(location) => Mistake::at(first_line(bytes(location), text), message),
        None => Mistake::outside(message),
    }
}

/// The part of a span that stands in its first line.
fn first_line(span: Range<usize>, text: &str) -> Range<usize> {
    let start = span.start.min(text.len());
    let lines = text.get(start..span.end.min(text.len()));
    let length = lines.and_then(|lines| lines.lines().next());
    start..start + length.map_or(0, |line| line.trim_end().len())
}

impl Node {
    fn from_spanned(spanned: Spanned<Kind>, text: &str) -> Self {
        let mut node = Self {
            span: bytes(spanned.referenced),
            kind: spanned.value,
        };
        node.cut(text);
        node
    }

    /// Cuts every span to its first line: excerpts show one.
    fn cut(&mut self, text: &str) {
        self.span = first_line(self.span.clone(), text);
        match &mut self.kind {
            Kind::List(elements) => elements.iter_mut().for_each(|node| node.cut(text)),
            Kind::Map(entries) => {
                for (key, value) in entries {
                    key.span = first_line(key.span.clone(), text);
                    value.cut(text);
                }
            }
            _ => (),
        }
    }
}

fn bytes(location: Location) -> Range<usize> {
    let span = location.span();
    let start = span.byte_offset().map_or(0, |start| start as usize);
    start..start + span.byte_len().map_or(0, |length| length as usize)
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map, a list, text, a number, true, false or nothing")
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Number(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<Spanned<Kind>>()? {
            elements.push(Node {
                span: bytes(element.referenced),
                kind: element.value,
            });
        }
        Ok(Kind::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Kind>>()? {
            let key = Key {
                span: bytes(key.referenced),
                name: key.value,
            };
            let value = Node {
                span: bytes(value.referenced),
                kind: value.value,
            };
            entries.push((key, value));
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_value_knows_where_it_stands_in_every_document() {
        let text = "a: 1\n---\ntitle: \u{e9} x\ndetection:\n    sel:\n        f|gte: 10   # why\n        g: [a, 'b c']\n        h: null\n        i: true\n        j: |\n          two\n          lines\n    condition: sel\n";
        let documents = parse(text).unwrap();
        assert_eq!(documents.len(), 2);
        let sel = documents[1]
            .get("detection")
            .and_then(|d| d.get("sel"))
            .unwrap();
        let shown: Vec<_> = sel
            .entries()
            .iter()
            .map(|(key, value)| {
                (
                    &text[key.span.clone()],
                    &text[value.span.clone()],
                    value.noun(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("f|gte", "10", "a number"),
                ("g", "[", "a list"),
                ("h", "null", "nothing"),
                ("i", "true", "true or false"),
                ("j", "two", "text"),
            ]
        );
    }

    #[test]
    fn what_is_no_yaml_is_one_mistake_with_a_place() {
        for text in [
            "a: [1",
            "a: 1\na: 2",
            "a: &x 1\nb: *x",
            "a: }",
            &"[".repeat(100),
        ] {
            let mistake = parse(text).unwrap_err();
            assert!(mistake.span.is_some(), "{text}: {mistake:?}");
        }
        assert!(parse(&"#".repeat(TEXT_LENGTH_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"([a-z: \n\-\[\]{}'|&*!#]|\PC){0,80}") {
            let _ = parse(&text);
        }
    }
}
