//! JSON access logs: one object a line, with the names of nginx, ECS, Caddy, Traefik, Envoy, or a field map.
//!
//! In: a line. Out: [`AccessEvent`]. Members of nested objects are named with dots (`request.headers.Host`), elements
//! of arrays by their array. Of equal names the last wins, as in `serde_json`.
//! Does not know: what names mean.
//! Source: RFC 8259. Beyond it, because real logs have them: `\xHH` (nginx without `escape=json`), bare `-` and
//! nothing at all as values (an unset variable outside quotes), several numbers as one (of several upstreams), control
//! characters inside strings, lone surrogates (U+FFFD). Of a line that ends within the object (a transport's limit) the
//! members that are whole count, unless a missing one could say that what happened failed; behind a trusted proxy its
//! client is not known where no forwarding header is whole.
//!
//! **Why it is fast.** A log writes the same object again and again. The first line that parses leaves a
//! [`Template`]: the text between its values. A line that has the same text in between is cut by comparing, without
//! looking at structure or names; any other line takes the scanner, with the same result, and the template still
//! knows most of its names.

use super::fields::{Fields, Telling};
use super::names::{FieldMap, Known, Meaning, Slot};
use super::scan::{Extent, Name, Scalar, Sink, scan};
use super::{Format, LineFormat};
use crate::domain::event::{AccessEvent, EventKind};
use crate::domain::line::SkipReason;
use memchr::memmem;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

pub(super) static FORMAT: Format = Format {
    name: "json",
    aliases: &[
        "nginx_json",
        "ecs_json",
        "caddy_json",
        "traefik_json",
        "envoy_json",
        "istio_json",
    ],
    about: "one JSON object a line: nginx variables, ECS, Caddy, Traefik, Envoy, or your own names",
    open: |names| open_dialect(names, &PLAIN),
};

/// What one gateway, service or identity provider calls the members of its lines.
pub(super) struct Dialect {
    /// Texts that give it away: all of one of these groups stand in every line. A quote inside a string is escaped, so
    /// no value can pretend to be a member.
    pub(super) marks: &'static [&'static [&'static str]],
    /// Its names as they stand, joined with dots, where they mean something else than the same names do elsewhere.
    pub(super) names: &'static [(&'static str, Slot, u8)],
    /// What its words for what happened mean; any other word is a [`EventKind::Note`]. Empty for requests.
    pub(super) kinds: &'static [(&'static str, EventKind)],
    /// True where a line says only that something failed, and else that it did not.
    pub(super) tells_failure: bool,
}

static PLAIN: Dialect = Dialect {
    marks: &[],
    names: &[],
    kinds: &[],
    tells_failure: false,
};

/// JSON lines in a dialect.
pub(super) fn open_dialect(names: &FieldMap, dialect: &'static Dialect) -> Arc<dyn LineFormat> {
    Arc::new(Json {
        names: Names {
            map: names.clone(),
            dialect,
        },
        template: OnceLock::new(),
    })
}

/// Meanings of names: the configuration's, the dialect's, everybody's.
struct Names {
    map: FieldMap,
    dialect: &'static Dialect,
}

impl Names {
    fn meaning(&self, name: &str) -> Meaning {
        if let Some(meaning) = self.map.override_of(name) {
            return meaning;
        }
        let mut own = self.dialect.names.iter();
        match own.find(|(own, ..)| *own == name) {
            Some(&(_, slot, rank)) => Meaning { slot, rank },
            None => self.map.meaning(name),
        }
    }
}

impl Dialect {
    fn gives_itself_away(&self, line: &str) -> bool {
        let has = |mark: &&str| memmem::find(line.as_bytes(), mark.as_bytes()).is_some();
        self.marks.is_empty() || self.marks.iter().any(|group| group.iter().all(has))
    }

    /// False where what is missing of a line would turn what happened into its opposite: that it failed.
    fn can_be_cut(&self) -> bool {
        self.kinds.is_empty() && !self.tells_failure
    }

    /// Completes the event, with what the dialect's words mean.
    pub(super) fn finish(&self, fields: &mut Fields<'_, '_>) -> Result<(), SkipReason> {
        let (event, telling) = fields.finish_telling()?;
        let failure = telling.failure.as_deref();
        if self.tells_failure && event.status == 0 {
            event.status = failure.map_or(200, status_of_failure);
        }
        if !self.kinds.is_empty() {
            event.kind = self.kind(telling);
        }
        Ok(())
    }

    fn kind(&self, telling: &Telling<'_>) -> EventKind {
        let word = telling.kind.as_deref().unwrap_or_default();
        let mut kinds = self.kinds.iter();
        let kind = kinds
            .find(|(known, _)| *known == word)
            .map(|(_, kind)| *kind);
        let by_refresh = telling
            .grant
            .as_deref()
            .is_some_and(|grant| matches!(grant, "refresh_token" | "refreshToken"));
        match (kind, telling.failure.as_deref()) {
            (None, _) => EventKind::Note,
            (Some(EventKind::Issued | EventKind::Refreshed), Some(_)) if by_refresh => {
                EventKind::RefreshRefused
            }
            (Some(EventKind::Refreshed), Some(_)) => EventKind::RefreshRefused,
            (Some(EventKind::RefreshRefused), Some(why)) if is_reuse(why) => {
                EventKind::RefreshReused
            }
            (Some(EventKind::Login | EventKind::Issued), Some(_)) => EventKind::LoginRefused,
            (Some(EventKind::Issued), None) if by_refresh => EventKind::Refreshed,
            (Some(kind), _) => kind,
        }
    }
}

/// Keycloak's words for a refresh token that came again.
fn is_reuse(failure: &str) -> bool {
    failure == "Stale token" || failure.contains("reuse")
}

/// What a service that writes no status would have answered.
fn status_of_failure(failure: &str) -> u16 {
    let denied = ["Denied", "Unauthorized", "Forbidden", "NotAuthorized"];
    if denied.iter().any(|word| failure.contains(word)) {
        403
    } else {
        400
    }
}

/// Longest line that a template is made of: it holds the name of each value, and long names within each other are far
/// more text than the line.
const TAUGHT_BYTES_MAX: usize = 16 << 10;

struct Json {
    names: Names,
    /// Only a cache: lines give the same events without it.
    template: OnceLock<Template>,
}

impl LineFormat for Json {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        if let Some(template) = self.template.get() {
            let mut fields = Fields::new(line, event);
            if template.cut(line, &mut fields).is_some() {
                return self.names.dialect.finish(&mut fields);
            }
            *event = AccessEvent::default();
        }
        if !self.names.dialect.gives_itself_away(line) {
            return Err(SkipReason::Malformed);
        }
        let mut assign = Assign {
            names: &self.names,
            known: self.template.get().map(|template| &template.known),
            fields: Fields::new(line, event),
        };
        let dialect = self.names.dialect;
        if scan(line, &mut assign)? == Extent::Cut {
            assign.fields.set_cut();
            let read = dialect.can_be_cut() && dialect.finish(&mut assign.fields).is_ok();
            return read.then_some(()).ok_or(SkipReason::Malformed);
        }
        dialect.finish(&mut assign.fields)?;
        if line.len() <= TAUGHT_BYTES_MAX {
            self.template
                .get_or_init(|| Template::learn(line, &self.names));
        }
        Ok(())
    }
}

struct Assign<'n, 'e, 'a> {
    names: &'n Names,
    known: Option<&'n Known>,
    fields: Fields<'e, 'a>,
}

impl Assign<'_, '_, '_> {
    fn meaning(&self, name: &str) -> Meaning {
        let known = self.known.and_then(|known| known.get(name));
        known.copied().unwrap_or_else(|| self.names.meaning(name))
    }
}

impl<'a> Sink<'a> for Assign<'_, '_, 'a> {
    /// Where a token may stand, the beginning of it tells something; elsewhere it is another value.
    fn cut(&mut self, name: Name<'_, 'a>, scalar: Scalar<'a>) {
        let meaning = self.meaning(name.as_str());
        let Ok(text) = scalar.text() else { return };
        if matches!(meaning.slot, Slot::Header | Slot::Cookie | Slot::Other) {
            self.fields.set(meaning, || name.to_cow(), scalar.at, text);
        }
    }

    fn value(&mut self, name: Name<'_, 'a>, scalar: Scalar<'a>) -> Result<(), SkipReason> {
        let meaning = self.meaning(name.as_str());
        self.fields
            .set(meaning, || name.to_cow(), scalar.at, scalar.text()?);
        Ok(())
    }
}

/// The text between the values of a line, and what the values mean.
#[derive(Default)]
struct Template {
    gaps: Vec<Gap>,
    /// What follows the last value.
    tail: Box<str>,
    /// The same meanings, for lines that are not like the template.
    known: Known,
}

/// What stands before one value.
struct Gap {
    text: Box<str>,
    quoted: bool,
    name: Box<str>,
    /// How far before the value the name begins, where it stands in the text as it is.
    name_back: Option<usize>,
    meaning: Meaning,
}

impl Template {
    fn learn(line: &str, names: &Names) -> Self {
        let mut learn = Learn {
            names,
            line,
            end: 0,
            template: Self::default(),
        };
        // The line was scanned before; and a template that fits nothing is only slow.
        let _ = scan(line, &mut learn);
        learn.template.tail = line.get(learn.end..).unwrap_or_default().into();
        learn.template
    }

    /// Cuts the line into fields; `None` when it is not like the template.
    fn cut<'a>(&self, line: &'a str, fields: &mut Fields<'_, 'a>) -> Option<()> {
        let mut rest = line;
        for gap in &self.gaps {
            rest = behind(&gap.text, rest)?;
            let at = line.len() - rest.len();
            let (scalar, after) = if gap.quoted {
                Scalar::string(rest, at)?
            } else {
                Scalar::bare(rest, at)?
            };
            let value = scalar.text().ok()?;
            fields.set(gap.meaning, || gap.name_in(line, at), at, value);
            rest = after;
        }
        (rest == &*self.tail).then_some(())
    }
}

/// `rest` without the `gap` that it begins with. Written out, since the standard search for a prefix stays a call.
#[inline(always)]
fn behind<'a>(gap: &str, rest: &'a str) -> Option<&'a str> {
    let (begin, rest) = rest.split_at_checked(gap.len())?;
    (begin == gap).then_some(rest)
}

impl Gap {
    fn name_in<'a>(&self, line: &'a str, value_at: usize) -> Cow<'a, str> {
        let name_at = self.name_back.and_then(|back| value_at.checked_sub(back));
        match name_at.and_then(|at| line.get(at..at + self.name.len())) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(self.name.clone().into_string()),
        }
    }
}

struct Learn<'n, 'a> {
    names: &'n Names,
    line: &'a str,
    /// Where the last value ended.
    end: usize,
    template: Template,
}

impl<'a> Sink<'a> for Learn<'_, 'a> {
    fn value(&mut self, name: Name<'_, 'a>, scalar: Scalar<'a>) -> Result<(), SkipReason> {
        let text = self.line.get(self.end..scalar.at).unwrap_or_default();
        let name_back = match name {
            Name::InLine(name) => text.rfind(name).map(|at| text.len() - at),
            Name::Built(_) => None,
        };
        let meaning = self.names.meaning(name.as_str());
        self.template.known.insert(name.as_str().into(), meaning);
        self.template.gaps.push(Gap {
            text: text.into(),
            quoted: scalar.quoted,
            name: name.as_str().into(),
            name_back,
            meaning,
        });
        self.end = scalar.at + scalar.raw.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_says_so_and_names_no_chain_that_may_go_on() {
        let parser = crate::formats::Parser::named("json").unwrap();
        let begin = r#"{"time":"2026-05-04T10:00:00Z","remote_ip":"10.0.0.1","headers":{"#;
        for (headers, chain) in [
            (
                r#""X-Forwarded-For":["192.0.2.1"],"Accept":["*/"#,
                Some("192.0.2.1"),
            ),
            (r#""X-Forwarded-For":["192.0.2.1"],"Acc"#, Some("192.0.2.1")),
            (r#""X-Forwarded-For":"192.0.2.1","Acc"#, Some("192.0.2.1")),
            (r#""X-Forwarded-For":["192.0.2.1","198.51"#, None),
            (r#""X-Forwarded-For":["192.0.2.1""#, None),
            (r#""X-Forwarded-For":["192.0"#, None),
            (r#""X-Real-Ip":["192.0.2.1"],"Acc"#, None), // the other header may follow
            (r#""Accept":["*/"#, None),
        ] {
            let line = format!("{begin}{headers}");
            let event = parser.parse(&line).unwrap();
            assert!(event.cut, "{line}");
            assert_eq!(event.chain.as_deref(), chain, "{line}");
        }
    }

    #[test]
    fn a_line_of_long_names_within_each_other_teaches_no_template() {
        let json = Json {
            names: Names {
                map: FieldMap::default(),
                dialect: &PLAIN,
            },
            template: OnceLock::new(),
        };
        let begin = r#"{"time_iso8601":"2026-05-04T10:00:00Z","status":200"#;
        let members: Vec<String> = (0..500).map(|no| format!("\"{no}\":1")).collect();
        let (name, members) = ("n".repeat(TAUGHT_BYTES_MAX), members.join(","));
        let hostile = format!("{begin},\"{name}\":{{{members}}}}}");
        let parsed = |line: &str| json.parse(line, &mut AccessEvent::default());
        assert_eq!(parsed(&hostile), Ok(()));
        assert!(json.template.get().is_none());
        let ordinary = format!("{begin}}}");
        assert_eq!(parsed(&ordinary), Ok(()));
        assert!(json.template.get().is_some());
    }
}
