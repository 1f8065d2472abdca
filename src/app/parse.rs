//! `tokentrip parse`: lines as events, to try a format on one's own log.
//!
//! In: [`RawLine`]s and how to read them. Out: NDJSON, one object a line: the event's fields with the first token's as
//! `jwt.*` and those of further ones under `jwt.others`, or why the line was skipped.
//! Does not know: earlier lines, keys, places. So nothing here is verified or judged.

use super::Error;
use super::scan::streams::Stream;
use super::set_up::SetUp;
use crate::cli;
use crate::domain::context::Context;
use crate::domain::event::AccessEvent;
use crate::domain::facts::Facts;
use crate::domain::ids::IdKey;
use crate::domain::line::{RawLine, SkipReason};
use crate::domain::mask::mask;
use crate::domain::token::{Credential, Provenance, Verdict};
use crate::domain::usage::{Field, TokenUse, Value, View};
use crate::formats::Parser;
use crate::formats::client_address::{TrustedProxies, settle};
use crate::ingest::discover::discover;
use crate::ingest::lines::CHUNK_BYTES;
use crate::tokens::decode::decode;
use crate::tokens::locate::locate;
use serde_json::{Value as Json, json};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

/// Characters of a skipped line that are shown: enough to recognise it on a terminal.
const SHOWN_CHARS_MAX: usize = 200;

/// How lines are read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Their format.
    pub parser: Parser,
    /// The proxies whose forwarding header is believed.
    pub trusted: TrustedProxies,
    /// Makes the ids that are shown instead of tokens.
    pub key: IdKey,
}

/// Runs the command: every input in turn, in the format that is named or found out.
///
/// # Errors
/// When an input cannot be found or read, or nothing recognises it.
pub(super) fn command(options: &cli::Parse) -> Result<u8, Error> {
    let set_up = SetUp::load(
        options.config.config.as_deref(),
        None,
        options.format.as_deref(),
        |_| Ok(IdKey::public([0; 32])),
    )?;
    let out = &mut io::BufWriter::new(io::stdout().lock());
    for found in discover(&options.paths).map_err(Error::shown)? {
        let wanted = set_up.wanted(Path::new(&*found.source.0))?;
        let bad = |reason: String| Error::new(format!("{}: {reason}", found.source.0));
        let stream = Stream::sniff(&found, &wanted, &set_up.front).map_err(bad)?;
        while let Some((how, chunk)) = stream
            .next_chunk(CHUNK_BYTES)
            .1
            .map_err(|error| bad(error.to_string()))?
        {
            let reading = Reading {
                parser: how.parser,
                trusted: how.trusted,
                key: set_up.front.key.clone(),
            };
            match run(&reading, chunk.lines(), out) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
                outcome => outcome.map_err(Error::shown)?,
            }
        }
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::shown(error)),
        _ => Ok(0),
    }
}

/// Prints every line as one JSON object.
///
/// # Errors
/// When `out` cannot be written to, which in a pipe means that the reader has seen enough.
pub(super) fn run<'a>(
    reading: &Reading,
    lines: impl IntoIterator<Item = RawLine<'a>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut parser = reading.parser.clone();
    for line in lines {
        let mut event = AccessEvent::default();
        let object = match parser.parse_into(line.text, line.written, &mut event) {
            Ok(()) => shown(reading, &line, event),
            Err(reason) => skipped(&line, reason),
        };
        parser.follow(line.text);
        writeln!(out, "{object}")?;
    }
    Ok(())
}

fn skipped(line: &RawLine<'_>, reason: SkipReason) -> Json {
    let text: String = mask(line.text).chars().take(SHOWN_CHARS_MAX).collect();
    json!({"type": "skipped", "reason": reason.name(), "line": line.number, "text": text})
}

fn shown(reading: &Reading, line: &RawLine<'_>, mut event: AccessEvent<'_>) -> Json {
    settle(&mut event, &reading.trusted);
    let credentials = locate(&mut event, &reading.key);
    let view = View {
        event: &event,
        usage: None,
        other: None,
        facts: &Facts::default(),
        source: line.source,
        offset_bytes: line.offset_bytes,
    };
    let mut object = json!({"type": "event", "line": line.number});
    add(&mut object, &view, |_| true);
    let mut tokens = credentials
        .iter()
        .filter_map(|one| token(reading, &view, one));
    if let (Some(Json::Object(first)), Some(object)) = (tokens.next(), object.as_object_mut()) {
        object.extend(first);
    }
    let others: Vec<Json> = tokens.collect();
    if !others.is_empty() {
        object["jwt.others"] = others.into();
    }
    object
}

/// The `jwt.*` fields of one credential; `None` where it turns out to be no token.
fn token(reading: &Reading, view: &View<'_>, credential: &Credential<'_>) -> Option<Json> {
    let token = decode(credential, &reading.key).ok()?;
    let address = view.event.client;
    let context = Context::of(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    let usage = TokenUse {
        event: view.event,
        token: &token,
        place: credential.place,
        context: &Arc::new(context),
        verdict: Verdict::NotConfigured,
        provenance: Provenance::Claimed,
    };
    let view = View {
        usage: Some(&usage),
        ..*view
    };
    let mut object = json!({"jwt.name": mask(&credential.name)});
    let is_shown = |field: Field| field.name().starts_with("jwt.") && field != Field::Provenance;
    add(&mut object, &view, is_shown);
    Some(object)
}

fn add(object: &mut Json, view: &View<'_>, wanted: impl Fn(Field) -> bool) {
    for field in Field::PLAIN.iter().copied().filter(|field| wanted(*field)) {
        let value = match view.value(field) {
            Value::Text(text) => mask(&text).into(),
            Value::Number(number) if number.fract() == 0.0 => (number as i64).into(),
            Value::Number(number) => number.into(),
            Value::Flag => true.into(),
            Value::Absent => continue,
        };
        object[field.name()] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::line::{Chunk, Source};

    /// `{"alg":"none"}` and `{"sub":"alice","exp":1777893072}`.
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6MTc3Nzg5MzA3Mn0.";

    fn parsed(format: &str, text: &str) -> (Vec<Json>, String) {
        let reading = Reading {
            parser: Parser::named(format).unwrap(),
            trusted: TrustedProxies::new(["10.0.0.0/8".parse().unwrap()]),
            key: IdKey::public([0; 32]),
        };
        let chunk = Chunk::split(Source("access.log".into()), text.as_bytes().to_vec(), 0, 1);
        let mut out = Vec::new();
        run(&reading, chunk.lines(), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        (
            out.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            out,
        )
    }

    #[test]
    fn an_event_is_shown_with_its_client_and_its_token_decoded() {
        let line = format!(
            r#"{{"time":1777889472.345,"remote_addr":"10.0.0.1","http_x_forwarded_for":"198.51.100.7","request":"GET /a?b=c HTTP/1.1","status":200,"http_authorization":"Bearer {TOKEN}"}}"#
        );
        let (objects, _) = parsed("json", &line);
        for (name, value) in [
            ("type", json!("event")),
            ("line", json!(1)),
            ("@timestamp", json!("2026-05-04T10:11:12.345Z")),
            ("source.ip", json!("198.51.100.7")),
            ("url.original", json!("/a?b=c")),
            ("http.response.status_code", json!(200)),
            ("log.file.path", json!("access.log")),
            ("jwt.sub", json!("alice")),
            ("jwt.exp", json!(1_777_893_072)),
            ("jwt.where", json!("header")),
            ("jwt.name", json!("http_authorization")),
        ] {
            assert_eq!(objects[0][name], value, "{name}");
        }
    }

    #[test]
    fn no_token_is_shown_wherever_it_stands() {
        let text = format!(
            "192.0.2.1 - - [04/May/2026:10:11:12 +0000] \"GET /{TOKEN}?t={TOKEN} HTTP/1.1\" 200 5 \
             \"https://a.example/?t={TOKEN}\" \"{TOKEN}\" \"{TOKEN}\"\n{TOKEN} is no line\n"
        );
        let (objects, out) = parsed("combined", &text);
        assert!(!out.contains("eyJ"), "{out}");
        assert_eq!(objects[0]["jwt.sub"], "alice");
        assert_eq!(objects[1]["type"], "skipped");
        assert_eq!(objects[1]["reason"], "malformed");
    }
}
