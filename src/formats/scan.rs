//! A scanner of one JSON object that borrows what it can and allocates only for escapes and nested names.
//!
//! In: a line. Out: its scalars with their names, in order, to a [`Sink`]; or [`SkipReason`].
//! Does not know: fields or events.
//! Source: RFC 8259; see [`super::json`] for what is accepted beyond it.

use super::search::first_of;
use super::text::hex;
use crate::domain::line::SkipReason;
use memchr::memchr;
use std::borrow::Cow;

/// No access log nests deeper; ECS reaches 5.
const DEPTH_MAX: usize = 8;
/// No access log has more; Caddy with all headers has about 60.
const SCALARS_MAX: usize = 512;

/// Takes scalars as they are found.
pub(super) trait Sink<'a> {
    fn value(&mut self, name: Name<'_, 'a>, scalar: Scalar<'a>) -> Result<(), SkipReason>;

    /// What there is of a string that does not end, the last of a line that was cut.
    fn cut(&mut self, _name: Name<'_, 'a>, _scalar: Scalar<'a>) {}
}

/// How much of the object there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// The line ends within it. What stands before its end was taken.
    Cut,
}

/// A member's name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name<'n, 'a> {
    /// As it stands in the line.
    InLine(&'a str),
    /// Joined with the names of the objects around it, or unescaped.
    Built(&'n str),
}

impl<'a> Name<'_, 'a> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::InLine(name) => name,
            Self::Built(name) => name,
        }
    }

    pub(super) fn to_cow(self) -> Cow<'a, str> {
        match self {
            Self::InLine(name) => Cow::Borrowed(name),
            Self::Built(name) => Cow::Owned(name.to_owned()),
        }
    }
}

/// A string, number, literal, or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar<'a> {
    /// As it stands in the line, without quotes.
    pub(super) raw: &'a str,
    /// Where that is.
    pub(super) at: usize,
    pub(super) quoted: bool,
    pub(super) escaped: bool,
}

impl<'a> Scalar<'a> {
    /// The string that `rest` begins with, behind its quote, and what follows it, from its other quote on. `rest`
    /// begins at `at` of the line. `None` when the string does not end.
    #[inline(always)]
    pub(super) fn string(rest: &'a str, at: usize) -> Option<(Self, &'a str)> {
        let bytes = rest.as_bytes();
        let (mut end, mut escaped) = (first_of(b'"', b'\\', bytes)?, false);
        while bytes.get(end) != Some(&b'"') {
            escaped = true;
            end += 2;
            end += first_of(b'"', b'\\', bytes.get(end..)?)?;
        }
        let (raw, after) = rest.split_at_checked(end)?;
        let scalar = Self {
            raw,
            at,
            quoted: true,
            escaped,
        };
        Some((scalar, after))
    }

    /// The number, literal, `-` or nothing that `rest` begins with, and what follows it.
    #[inline(always)]
    pub(super) fn bare(rest: &'a str, at: usize) -> Option<(Self, &'a str)> {
        let is_bare = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+');
        let length = rest.bytes().take_while(is_bare).count();
        let (raw, after) = rest.split_at_checked(length)?;
        let scalar = Self {
            raw,
            at,
            quoted: false,
            escaped: false,
        };
        Some((scalar, after))
    }

    /// The value meant; `null` is empty.
    ///
    /// # Errors
    /// [`SkipReason::Malformed`] for an escape that is none.
    pub(super) fn text(self) -> Result<Cow<'a, str>, SkipReason> {
        if self.escaped {
            return unescape(self.raw).ok_or(SkipReason::Malformed);
        }
        Ok(Cow::Borrowed(if !self.quoted && self.raw == "null" {
            ""
        } else {
            self.raw
        }))
    }
}

/// Scans one line that is one object, or the beginning of one.
pub(super) fn scan<'a>(line: &'a str, sink: &mut impl Sink<'a>) -> Result<Extent, SkipReason> {
    let mut scanner = Scanner {
        line,
        at: 0,
        scalars: 0,
        path: String::new(),
        is_cut: false,
    };
    if !scanner.next_is(b'{') {
        return Err(SkipReason::Malformed);
    }
    match scanner.object(1, sink) {
        Err(_) if scanner.is_cut => return Ok(Extent::Cut),
        read => read?,
    }
    scanner.skip_space();
    match scanner.at == line.len() {
        true => Ok(Extent::Whole),
        false => Err(SkipReason::Malformed),
    }
}

struct Scanner<'a> {
    line: &'a str,
    at: usize,
    scalars: usize,
    /// Names of the objects around, each with a dot behind it.
    path: String,
    /// The line ended where more should follow.
    is_cut: bool,
}

impl<'a> Scanner<'a> {
    /// The members of an object, behind its brace.
    fn object(&mut self, depth: usize, sink: &mut impl Sink<'a>) -> Result<(), SkipReason> {
        if self.next_is(b'}') {
            return Ok(());
        }
        loop {
            self.expect(b'"')?;
            let key = self.string()?;
            self.expect(b':')?;
            self.member(key, depth, sink)?;
            if self.next_is(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
            self.skip_more_numbers()?;
        }
    }

    /// `0.1, 0.2` without quotes: the times of several upstreams, of which the first was read.
    fn skip_more_numbers(&mut self) -> Result<(), SkipReason> {
        while matches!(self.peek(), Some(b'0'..=b'9' | b'-')) {
            self.bare()?;
            self.expect(b',')?;
        }
        Ok(())
    }

    fn member(
        &mut self,
        key: Scalar<'a>,
        depth: usize,
        sink: &mut impl Sink<'a>,
    ) -> Result<(), SkipReason> {
        if self.path.is_empty() && !key.escaped && !matches!(self.peek(), Some(b'{' | b'[')) {
            return self.scalar(Some(key.raw), sink);
        }
        let outer = self.path.len();
        self.path.push_str(&key.text()?);
        let result = self.value(depth, sink);
        self.path.truncate(outer);
        result
    }

    /// One value of any kind, named by the path.
    fn value(&mut self, depth: usize, sink: &mut impl Sink<'a>) -> Result<(), SkipReason> {
        if self.next_is(b'{') {
            self.deeper(depth)?;
            self.path.push('.');
            return self.object(depth + 1, sink);
        }
        if self.next_is(b'[') {
            self.deeper(depth)?;
            return self.array(depth + 1, sink);
        }
        self.scalar(None, sink)
    }

    fn deeper(&self, depth: usize) -> Result<(), SkipReason> {
        if depth < DEPTH_MAX {
            Ok(())
        } else {
            Err(SkipReason::TooComplex)
        }
    }

    /// The elements of an array, behind its bracket: each has the array's name.
    fn array(&mut self, depth: usize, sink: &mut impl Sink<'a>) -> Result<(), SkipReason> {
        if self.next_is(b']') {
            return Ok(());
        }
        let outer = self.path.len();
        loop {
            self.value(depth, sink)?;
            self.path.truncate(outer);
            if self.next_is(b']') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// A scalar with the name given, else the path.
    fn scalar(
        &mut self,
        name: Option<&'a str>,
        sink: &mut impl Sink<'a>,
    ) -> Result<(), SkipReason> {
        self.scalars += 1;
        if self.scalars > SCALARS_MAX {
            return Err(SkipReason::TooComplex);
        }
        let is_string = self.next_is(b'"');
        let read = if is_string {
            self.string()
        } else {
            self.bare()
        };
        let name = name.map_or(Name::Built(&self.path), Name::InLine);
        match read {
            Ok(scalar) => sink.value(name, scalar),
            Err(reason) => {
                if is_string {
                    sink.cut(name, self.rest_as_string());
                }
                Err(reason)
            }
        }
    }

    /// The rest of the line, as the beginning of a string.
    fn rest_as_string(&self) -> Scalar<'a> {
        let raw = self.line.get(self.at..).unwrap_or_default();
        Scalar {
            raw,
            at: self.at,
            quoted: true,
            escaped: raw.contains('\\'),
        }
    }

    fn string(&mut self) -> Result<Scalar<'a>, SkipReason> {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let Some((scalar, _)) = Scalar::string(rest, self.at) else {
            self.is_cut = true;
            return Err(SkipReason::Malformed);
        };
        self.at += scalar.raw.len() + 1;
        Ok(scalar)
    }

    fn bare(&mut self) -> Result<Scalar<'a>, SkipReason> {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let (scalar, _) = Scalar::bare(rest, self.at).ok_or(SkipReason::Malformed)?;
        self.at += scalar.raw.len();
        // A number that the line ends with may have had more digits.
        self.is_cut = self.at == self.line.len();
        if self.is_cut {
            return Err(SkipReason::Malformed);
        }
        Ok(scalar)
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.line.as_bytes().get(self.at).copied()
    }

    fn next_is(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, byte: u8) -> Result<(), SkipReason> {
        if self.next_is(byte) {
            Ok(())
        } else {
            self.is_cut = self.at == self.line.len();
            Err(SkipReason::Malformed)
        }
    }

    fn skip_space(&mut self) {
        let rest = self.line.as_bytes().get(self.at..).unwrap_or_default();
        let is_space = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
        self.at += rest.iter().take_while(is_space).count();
    }
}

/// Undoes JSON's escapes, and `\xHH` as nginx writes them. `None` for any other escape.
pub(super) fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some(at) = memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at)?;
        bytes.extend_from_slice(plain);
        let (simple, after) = match escape {
            [_, b'u', after @ ..] => {
                let (character, after) = unicode_escape(after)?;
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
                continue;
            }
            [_, b'x', high, low, after @ ..] => (hex(*high)? << 4 | hex(*low)?, after),
            [_, simple @ (b'"' | b'\\' | b'/'), after @ ..] => (*simple, after),
            [_, b'n', after @ ..] => (b'\n', after),
            [_, b't', after @ ..] => (b'\t', after),
            [_, b'r', after @ ..] => (b'\r', after),
            [_, b'b', after @ ..] => (8, after),
            [_, b'f', after @ ..] => (12, after),
            _ => return None,
        };
        bytes.push(simple);
        rest = after;
    }
    bytes.extend_from_slice(rest);
    Some(Cow::Owned(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }))
}

/// The character of `\uXXXX`, behind the `u`, and of the low surrogate's escape that may follow; what follows them.
fn unicode_escape(bytes: &[u8]) -> Option<(char, &[u8])> {
    let (high, after) = hex4(bytes)?;
    if let (0xd800..=0xdbff, [b'\\', b'u', low @ ..]) = (high, after)
        && let Some((low @ 0xdc00..=0xdfff, after)) = hex4(low)
    {
        let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return char::from_u32(code).map(|character| (character, after));
    }
    Some((
        char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER),
        after,
    ))
}

fn hex4(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, after) = bytes.split_at_checked(4)?;
    let code = digits
        .iter()
        .try_fold(0, |code, digit| Some(code << 4 | u32::from(hex(*digit)?)))?;
    Some((code, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Collect(BTreeMap<String, String>);

    impl<'a> Sink<'a> for Collect {
        fn value(&mut self, name: Name<'_, 'a>, scalar: Scalar<'a>) -> Result<(), SkipReason> {
            self.0
                .insert(name.as_str().to_owned(), scalar.text()?.into_owned());
            Ok(())
        }
    }

    fn ours(line: &str) -> Result<BTreeMap<String, String>, SkipReason> {
        let mut collect = Collect::default();
        match scan(line, &mut collect)? {
            Extent::Whole => Ok(collect.0),
            Extent::Cut => Err(SkipReason::Malformed),
        }
    }

    /// The same flattening over what serde_json read.
    fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
        let mut scalar = |text: String| drop(into.insert(path.to_owned(), text));
        match value {
            Value::Null => scalar(String::new()),
            Value::Bool(flag) => scalar(flag.to_string()),
            Value::Number(number) => scalar(number.to_string()),
            Value::String(text) => scalar(text.clone()),
            Value::Array(elements) => elements.iter().for_each(|e| flatten(path, e, into)),
            Value::Object(members) => {
                let prefix = if path.is_empty() {
                    String::new()
                } else {
                    format!("{path}.")
                };
                members
                    .iter()
                    .for_each(|(key, v)| flatten(&format!("{prefix}{key}"), v, into));
            }
        }
    }

    #[test]
    fn nested_members_have_dotted_names_and_elements_their_arrays() {
        let line =
            r#" { "a" : 1 , "b":{"c":[ "x", "y" ],"d":{"e":null}}, "f":[{"g":true},-0.5] } "#;
        let expected = [
            ("a", "1"),
            ("b.c", "y"),
            ("b.d.e", ""),
            ("f", "-0.5"),
            ("f.g", "true"),
        ];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(ours(line), Ok(BTreeMap::from(expected)));
    }

    #[test]
    fn what_real_logs_write_beyond_json_is_read() {
        let line =
            r#"{"upstream":-,"time":,"agent":"a\x22b","smile":"\ud83d\ude00","lone":"\ud83dx"}"#;
        let read = ours(line).unwrap();
        assert_eq!(read["upstream"], "-");
        assert_eq!(read["time"], "");
        assert_eq!(read["agent"], "a\"b");
        assert_eq!(read["smile"], "😀");
        assert_eq!(read["lone"], "\u{fffd}x");
    }

    #[test]
    fn what_is_no_object_is_malformed_and_what_is_no_log_too_complex() {
        for line in [
            "",
            "{",
            "[]",
            "null",
            "{}x",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            r#"{"a":"b}"#,
            r#"{"a":1 2}"#,
            r#"{"a":"\q"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":[1,2}"#,
            r#"{a:1}"#,
            r#"{"a":"\"}"#,
        ] {
            assert_eq!(ours(line), Err(SkipReason::Malformed), "{line}");
        }
        let deep = format!("{}1{}", r#"{"a":"#.repeat(9), "}".repeat(9));
        assert_eq!(ours(&deep), Err(SkipReason::TooComplex));
        let members: Vec<String> = (0..513).map(|n| format!("\"{n}\":{n}")).collect();
        assert_eq!(
            ours(&format!("{{{}}}", members.join(","))),
            Err(SkipReason::TooComplex)
        );
    }

    /// JSON text that serde_json accepts, with every kind of escape.
    fn json() -> impl Strategy<Value = String> {
        let escape = prop_oneof![
            Just(r"\n".to_owned()),
            Just(r#"\""#.to_owned()),
            Just(r"\\".to_owned()),
            Just(r"\/".to_owned()),
            Just(r"\u0041".to_owned()),
            Just(r"\ud83d\ude00".to_owned()),
            Just("é".to_owned()),
            "[a-zA-Z0-9 .-]{1,8}",
        ];
        let string =
            prop::collection::vec(escape, 0..5).prop_map(|p| format!("\"{}\"", p.concat()));
        let leaf = prop_oneof![
            string.clone(),
            any::<i64>().prop_map(|n| n.to_string()),
            Just("null".to_owned()),
            Just("true".to_owned()),
        ];
        let value = leaf.prop_recursive(4, 32, 5, move |inner| {
            let member = (string.clone(), inner.clone()).prop_map(|(k, v)| format!("{k} : {v}"));
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(|v| format!("[{}]", v.join(", "))),
                prop::collection::vec(member, 0..5).prop_map(|v| format!("{{{}}}", v.join(","))),
            ]
        });
        prop::collection::vec(("\"[a-c]\"", value), 0..6).prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(k, v)| format!("{k}:{v}")).collect();
            format!("{{{}}}", members.join(","))
        })
    }

    proptest! {
        #[test]
        fn every_scalar_is_what_serde_json_reads(line in json()) {
            let theirs: Value = serde_json::from_str(&line).unwrap();
            let mut expected = BTreeMap::new();
            flatten("", &theirs, &mut expected);
            let read = ours(&line).unwrap();
            // A repeated object is merged here and replaced there, so only what they have is compared.
            for (name, value) in expected {
                prop_assert_eq!(read.get(&name), Some(&value), "{} in {}", name, line);
            }
        }

        #[test]
        fn what_serde_json_accepts_is_accepted_whatever_the_bytes(text in r#"[{}\[\]",:\\u0-9a-f ]{0,40}"#) {
            let line = format!("{{{text}}}");
            if serde_json::from_str::<Value>(&line).is_ok() {
                prop_assert!(ours(&line).is_ok(), "{}", line);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", shaped in r#"\{["a\\ux:,0-9{}\[\]]{0,40}"#) {
            let _ = (ours(&text), ours(&shaped));
        }
    }
}
