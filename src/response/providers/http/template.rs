//! Text with places for values: `{base_url}/users/{sub}/sessions`.
//!
//! In: a text of a vendor's file, and [`Values`]. Out: an address, a header, a body, with every value encoded for where
//! it stands. A value stays in its segment, its parameter or its string: it cannot become a host, a path, a header or
//! another member.
//! Does not know: which values there are, or what is called.
//! Source: RFC 3986, sections 2.3 (what needs no encoding) and 3.3 (dot segments); RFC 6901 (JSON Pointer).

use crate::outbound::Endpoint;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// All that RFC 3986 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Values of one pointer with `*` at most: a user has a few sessions, and each may be a call.
const FOUND_MAX: usize = 100;

/// What stands in the places. It holds secrets and raw tokens, so it does not show itself.
#[derive(Clone, Default)]
pub(super) struct Values(BTreeMap<String, String>);

impl Values {
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Why something cannot be written with these values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A value is not there.
    Absent,
    /// A value would leave its place.
    Leaves,
}

/// A text with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(String),
}

impl Template {
    /// Reads a text. What is wrong with it is said as a mistake says it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('{') {
            let (name, after) = from.split_once('}').ok_or("`{` without `}`")?;
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return Err("between `{` and `}` stands a name");
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Place(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The names of its places.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Place(name) => Some(&**name),
            Piece::Text(_) => None,
        })
    }

    /// The text with the values as they are.
    pub(super) fn plain(&self, values: &Values) -> Result<String, Unfit> {
        self.with(values, |value| value.to_owned())
    }

    /// The text with each value percent-encoded.
    pub(super) fn encoded(&self, values: &Values) -> Result<String, Unfit> {
        self.with(values, |value| {
            utf8_percent_encode(value, RESERVED).to_string()
        })
    }

    fn with(&self, values: &Values, encode: impl Fn(&str) -> String) -> Result<String, Unfit> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(own) => text.push_str(own),
                Piece::Place(name) => {
                    text.push_str(&encode(values.get(name).ok_or(Unfit::Absent)?))
                }
            }
        }
        Ok(text)
    }
}

/// An address: a configured one, segments below it, parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The key that gives the address it begins with.
    pub(super) base: String,
    segments: Vec<Template>,
    query: Vec<(String, Template)>,
}

impl Address {
    /// Reads `{base}/a/{b}?c={d}`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let from = "an address begins with a key that takes one, as `{base_url}/users/{sub}`";
        let (base, rest) = text
            .strip_prefix('{')
            .and_then(|text| text.split_once('}'))
            .ok_or(from)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if rest.contains('#') || !(path.is_empty() || path.starts_with('/')) {
            return Err(from);
        }
        let mut segments = Vec::new();
        for segment in path.split('/').skip(1) {
            if segment.is_empty() {
                return Err("a path has no empty segments");
            }
            segments.push(Template::parse(segment)?);
        }
        let mut parameters = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter
                .split_once('=')
                .ok_or("a parameter is `name=value`")?;
            if name.contains('{') {
                return Err("the name of a parameter has no places");
            }
            parameters.push((name.to_owned(), Template::parse(value)?));
        }
        Ok(Self {
            base: base.to_owned(),
            segments,
            query: parameters,
        })
    }

    /// The names of its places, without the first.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let query = self.query.iter().map(|(_, value)| value);
        self.segments.iter().chain(query).flat_map(Template::names)
    }

    /// The address with the values in their places. A whole segment that is empty or a dot segment, and a value with
    /// control characters, would name something else.
    pub(super) fn url(&self, base: &Endpoint, values: &Values) -> Result<Url, Unfit> {
        let mut url = base.url();
        let mut path = url.path().trim_end_matches('/').to_owned();
        let named = self.names().filter_map(|name| values.get(name));
        if named
            .into_iter()
            .any(|value| value.chars().any(char::is_control))
        {
            return Err(Unfit::Leaves);
        }
        for segment in &self.segments {
            let segment = segment.encoded(values)?;
            if matches!(&*segment, "" | "." | "..") {
                return Err(Unfit::Leaves);
            }
            path.push('/');
            path.push_str(&segment);
        }
        if !self.segments.is_empty() {
            url.set_path(&path);
        }
        if !self.query.is_empty() {
            let pairs = self.query.iter();
            let pairs = pairs.map(|(name, value)| Ok(format!("{name}={}", value.encoded(values)?)));
            url.set_query(Some(&pairs.collect::<Result<Vec<_>, Unfit>>()?.join("&")));
        }
        Ok(url)
    }
}

/// A body of JSON, with places in its strings.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Text(Template),
    Plain(Value),
    List(Vec<Tree>),
    Members(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads a value of the file.
    pub(super) fn parse(value: &toml::Value) -> Result<Self, &'static str> {
        Ok(match value {
            toml::Value::String(text) => Self::Text(Template::parse(text)?),
            toml::Value::Integer(number) => Self::Plain((*number).into()),
            toml::Value::Float(number) => Self::Plain((*number).into()),
            toml::Value::Boolean(flag) => Self::Plain((*flag).into()),
            toml::Value::Datetime(_) => return Err("a time is written as text"),
            toml::Value::Array(list) => {
                Self::List(list.iter().map(Self::parse).collect::<Result<_, _>>()?)
            }
            toml::Value::Table(table) => {
                let member = |(name, value): (&String, _)| Ok((name.clone(), Self::parse(value)?));
                Self::Members(
                    table
                        .iter()
                        .map(member)
                        .collect::<Result<_, &'static str>>()?,
                )
            }
        })
    }

    /// The names of its places.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.names().collect(),
            Self::Plain(_) => Vec::new(),
            Self::List(list) => list.iter().flat_map(Self::names).collect(),
            Self::Members(members) => members.iter().flat_map(|(_, tree)| tree.names()).collect(),
        }
    }

    /// The value with the values in their places.
    pub(super) fn json(&self, values: &Values) -> Result<Value, Unfit> {
        Ok(match self {
            Self::Text(text) => text.plain(values)?.into(),
            Self::Plain(value) => value.clone(),
            Self::List(list) => {
                let list = list.iter().map(|tree| tree.json(values));
                Value::Array(list.collect::<Result<_, _>>()?)
            }
            Self::Members(members) => {
                let members = members.iter();
                let member = members.map(|(name, tree)| Ok((name.clone(), tree.json(values)?)));
                Value::Object(member.collect::<Result<Map<_, _>, Unfit>>()?)
            }
        })
    }
}

/// A form: names, and text with places.
pub(super) fn form(fields: &[(String, Template)], values: &Values) -> Result<String, Unfit> {
    let pairs = fields.iter();
    let pairs = pairs.map(|(name, value)| {
        let value = encoded(&value.plain(values)?);
        Ok(format!("{}={value}", encoded(name)))
    });
    Ok(pairs.collect::<Result<Vec<_>, Unfit>>()?.join("&"))
}

/// A value percent-encoded, as a form does it.
pub(super) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

/// Where something stands in an answer: a JSON Pointer, in which `*` stands for each of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `/sessions/*/id`; empty for the answer itself.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        match text.strip_prefix('/') {
            Some(rest) => Ok(Self(rest.split('/').map(str::to_owned).collect())),
            None if text.is_empty() => Ok(Self(Vec::new())),
            None => Err("a pointer begins with `/`, as `/sessions/*/id`"),
        }
    }

    /// True when it asks for each of a list.
    pub(super) fn is_list(&self) -> bool {
        self.0.iter().any(|part| part == "*")
    }

    /// The member of this name.
    pub(super) fn at(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// What stands there, as text, without what is empty.
    pub(super) fn find(&self, answer: &Value) -> Vec<String> {
        let mut found = vec![answer];
        for part in &self.0 {
            let below = found.into_iter().flat_map(|value| below(value, part));
            found = below.take(FOUND_MAX).collect();
        }
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        let texts = found.into_iter().filter_map(text);
        texts.filter(|text| !text.is_empty()).collect()
    }
}

/// What one part of a pointer leads to.
fn below<'a>(value: &'a Value, part: &str) -> Vec<&'a Value> {
    match (value, part) {
        (Value::Array(list), "*") => list.iter().take(FOUND_MAX).collect(),
        (Value::Array(list), index) => {
            let index = index.parse::<usize>().ok();
            Vec::from_iter(index.and_then(|index| list.get(index)))
        }
        (Value::Object(members), name) => Vec::from_iter(members.get(name)),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn values(pairs: &[(&str, &str)]) -> Values {
        let mut values = Values::default();
        pairs
            .iter()
            .for_each(|(name, value)| values.set(name, *value));
        values
    }

    fn url(address: &str, sub: &str) -> Result<String, Unfit> {
        let base = Endpoint::new("https://idp.example.com/auth/").unwrap();
        let address = Address::parse(address).unwrap();
        address
            .url(&base, &values(&[("sub", sub)]))
            .map(String::from)
    }

    #[test]
    fn a_value_stays_in_its_segment_and_its_parameter() {
        let of = |sub| url("{base_url}/users/{sub}:verb?q={sub}&all=true", sub);
        let at = |text: &str| {
            Ok(format!(
                "https://idp.example.com/auth/users/{text}:verb?q={text}&all=true"
            ))
        };
        assert_eq!(of("auth0|1"), at("auth0%7C1"));
        assert_eq!(of("a/../b?c=d&e#f:g"), at("a%2F..%2Fb%3Fc%3Dd%26e%23f%3Ag"));
        assert_eq!(of("%2e%2e"), at("%252e%252e"));
        assert_eq!(of("a b+ü"), at("a%20b%2B%C3%BC"));
        assert_eq!(of("a\r\nb"), Err(Unfit::Leaves));
        for leaving in ["", ".", "..", "\t.."] {
            assert_eq!(url("{base_url}/users/{sub}", leaving), Err(Unfit::Leaves));
        }
    }

    proptest! {
        #[test]
        fn no_value_changes_host_path_or_the_other_parameters(sub in ".{0,40}") {
            let Ok(text) = url("{base_url}/users/{sub}/logout?a={sub}&b=1", &sub) else {
                return Ok(());
            };
            let url = Url::parse(&text).unwrap();
            prop_assert_eq!(url.host_str(), Some("idp.example.com"));
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 4);
            prop_assert_eq!((segments[0], segments[1], segments[3]), ("auth", "users", "logout"));
            let pairs: Vec<_> = url.query_pairs().collect();
            prop_assert_eq!(pairs.len(), 2);
            prop_assert_eq!(&*pairs[0].1, &*sub);
            prop_assert!(url.fragment().is_none());
        }
    }

    #[test]
    fn a_value_in_json_stays_a_string() {
        let tree =
            Tree::parse(&toml::toml! { userId = "{sub}" n = 1 list = [{a = "x{sub}"}] }.into());
        let json = tree
            .unwrap()
            .json(&values(&[("sub", "a\",\"admin\":true,\"b\":\"")]));
        let text = json.unwrap().to_string();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read.as_object().unwrap().len(), 3, "{text}");
        assert_eq!(read["userId"], "a\",\"admin\":true,\"b\":\"");
    }

    #[test]
    fn a_pointer_finds_each_of_a_list() {
        let answer = json!({"sessions": [{"id": "a"}, {"id": 7}, {}, {"id": null}], "x": [["y"]]});
        let find = |pointer: &str| Pointer::parse(pointer).unwrap().find(&answer);
        assert_eq!(find("/sessions/*/id"), ["a", "7"]);
        assert_eq!(find("/x/0/0"), ["y"]);
        assert_eq!(find("/nothing/here"), [""; 0]);
    }

    #[test]
    fn what_is_no_template_says_why() {
        assert!(Template::parse("{sub").is_err());
        assert!(Template::parse("{a b}").is_err());
        assert!(Address::parse("https://idp.example.com/{sub}").is_err());
        assert!(Address::parse("{base_url}.evil.example").is_err());
        assert!(Address::parse("{base_url}//a").is_err());
        assert!(Address::parse("{base_url}/a?{sub}=1").is_err());
    }
}
