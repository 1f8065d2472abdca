//! Formats that a string describes: the body of an nginx `log_format`, compiled once.
//!
//! In: the string. Out: a [`LineFormat`] that cuts lines at the text between the variables.
//! Does not know: what variables mean.
//! Source: nginx `ngx_http_log_module`, `log_format`: `escape=default` writes `\xHH`, `escape=json` escapes as JSON
//! strings, `escape=none` nothing. Apache's strings are read by [`super::apache`] and cut the same way.

use super::fields::Fields;
use super::names::{FieldMap, Meaning, Slot};
use super::text::{is_escaped, unescape};
use super::{FormatFault, LineFormat, apache, scan};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use memchr::memchr_iter;
use std::borrow::Cow;
use std::sync::Arc;

/// How the gateway wrote what could be mistaken for the format's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    Default,
    Json,
    None,
}

/// A compiled format string.
#[derive(Debug)]
pub(super) struct Pattern {
    /// What stands before the first variable.
    head: Box<str>,
    variables: Vec<Variable>,
    escape: Escape,
}

#[derive(Debug)]
struct Variable {
    name: Box<str>,
    meaning: Meaning,
    /// What stands behind it.
    until: Until,
}

#[derive(Debug)]
enum Until {
    /// This text, which is not part of the value.
    Text(Box<str>),
    /// A path's first slash, which belongs to the next variable.
    Slash,
    /// The end of the line.
    End,
}

/// One element of a format string.
pub(super) enum Piece<'f> {
    Text(Cow<'f, str>),
    Variable {
        name: Cow<'f, str>,
        meaning: Meaning,
    },
}

/// Compiles a format string of nginx or Apache.
pub(super) fn open(body: &str, names: &FieldMap) -> Result<Arc<dyn LineFormat>, FormatFault> {
    Ok(Arc::new(Pattern::compile(body, names)?))
}

impl Pattern {
    pub(super) fn compile(body: &str, names: &FieldMap) -> Result<Self, FormatFault> {
        let (escape, body) = escape_of(body);
        let body = unquote(body);
        if !body.contains('$') {
            return Self::of(Escape::Default, apache::pieces(&body, names)?);
        }
        Self::of(escape, pieces(&body, names))
    }

    fn of(escape: Escape, pieces: Vec<Piece<'_>>) -> Result<Self, FormatFault> {
        let mut pattern = Self {
            head: "".into(),
            variables: Vec::new(),
            escape,
        };
        for piece in join_target(pieces) {
            match piece {
                Piece::Text(text) => match pattern.variables.last_mut() {
                    Some(last) => last.until = Until::Text(text.into()),
                    None => pattern.head = text.into(),
                },
                Piece::Variable { name, meaning } => pattern.push(name.into(), meaning)?,
            }
        }
        if pattern.variables.is_empty() {
            return Err(FormatFault::NoVariables(pattern.head.into()));
        }
        let has_time = pattern
            .variables
            .iter()
            .any(|v| v.meaning.slot == Slot::Time);
        if has_time {
            Ok(pattern)
        } else {
            Err(FormatFault::NoTime)
        }
    }

    fn push(&mut self, name: Box<str>, meaning: Meaning) -> Result<(), FormatFault> {
        if let Some(last) = self.variables.last_mut()
            && matches!(last.until, Until::End)
        {
            if !matches!(meaning.slot, Slot::Target | Slot::Path) {
                let (first, second) = (last.name.to_string(), name.into());
                return Err(FormatFault::NotSeparated { first, second });
            }
            last.until = Until::Slash;
        }
        self.variables.push(Variable {
            name,
            meaning,
            until: Until::End,
        });
        Ok(())
    }

    fn meant<'a>(&self, slot: Slot, raw: &'a str) -> Result<Cow<'a, str>, SkipReason> {
        match self.escape {
            Escape::None => Ok(Cow::Borrowed(raw)),
            Escape::Json if raw.contains('\\') => scan::unescape(raw).ok_or(SkipReason::Malformed),
            Escape::Json => Ok(Cow::Borrowed(raw)),
            // As logged: an escape in a request stands for what the client should not have sent.
            Escape::Default
                if matches!(
                    slot,
                    Slot::Request | Slot::Target | Slot::Path | Slot::Query
                ) =>
            {
                Ok(Cow::Borrowed(raw))
            }
            Escape::Default => Ok(unescape(raw)),
        }
    }
}

impl LineFormat for Pattern {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        if !line.starts_with(&*self.head) {
            return Err(SkipReason::Malformed);
        }
        let mut fields = Fields::new(line, event);
        let mut at = self.head.len();
        for variable in &self.variables {
            let rest = line.get(at..).unwrap_or_default();
            let (length, behind) = variable.until.find(rest).ok_or(SkipReason::Malformed)?;
            let raw = rest.get(..length).unwrap_or_default();
            let value = self.meant(variable.meaning.slot, raw)?;
            fields.set(
                variable.meaning,
                || variable.name.to_string().into(),
                at,
                value,
            );
            at += length + behind;
        }
        if at == line.len() {
            fields.finish()
        } else {
            Err(SkipReason::Malformed)
        }
    }
}

impl Until {
    /// How long the value is, and how much text behind it is not part of the next.
    fn find(&self, rest: &str) -> Option<(usize, usize)> {
        let bytes = rest.as_bytes();
        match self {
            Self::End => Some((bytes.len(), 0)),
            Self::Slash => memchr_iter(b'/', bytes).next().map(|at| (at, 0)),
            Self::Text(text) => {
                let text = text.as_bytes();
                let first = *text.first()?;
                let starts = |at: &usize| {
                    bytes.get(*at..).is_some_and(|rest| rest.starts_with(text))
                        && (first != b'"' || !is_escaped(bytes, *at))
                };
                let at = memchr_iter(first, bytes).find(starts)?;
                Some((at, text.len()))
            }
        }
    }
}

/// `escape=json` and its like in front of the body.
fn escape_of(body: &str) -> (Escape, &str) {
    let body = body.trim();
    for (prefix, escape) in [
        ("escape=json", Escape::Json),
        ("escape=default", Escape::Default),
        ("escape=none", Escape::None),
    ] {
        if let Some(rest) = body.strip_prefix(prefix) {
            return (escape, rest.trim_start());
        }
    }
    (Escape::Default, body)
}

/// The body as nginx joins it: `'a' 'b'` is `ab`. A body without quotes around it is as it is.
fn unquote(body: &str) -> Cow<'_, str> {
    let body = body.trim_end_matches([';', ' ', '\n']);
    let quote = match body.chars().next() {
        Some(quote @ '\'') if body.ends_with(quote) && body.len() > 1 => quote,
        _ => return Cow::Borrowed(body),
    };
    let mut joined = String::with_capacity(body.len());
    let mut inside = false;
    for character in body.chars() {
        if character == quote {
            inside = !inside;
        } else if inside {
            joined.push(character);
        }
    }
    Cow::Owned(joined)
}

/// Cuts an nginx format into text and `$name` or `${name}`.
fn pieces<'f>(body: &'f str, names: &FieldMap) -> Vec<Piece<'f>> {
    let mut pieces = Vec::new();
    let mut rest = body;
    while let Some((text, after)) = rest.split_once('$') {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, after) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
            Some(braced) => braced,
            None => after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len())),
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        pieces.push(Piece::Variable {
            name: name.into(),
            meaning: names.meaning(name),
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    pieces
}

/// Makes one target of `$uri$is_args$args` (nginx) and `%U%q` (Apache), which stand side by side and are one.
fn join_target(pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let mut joined: Vec<Piece<'_>> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let part = match &piece {
            Piece::Variable { name, meaning } => meaning.slot == Slot::Query || name == "is_args",
            Piece::Text(_) => false,
        };
        match joined.last_mut() {
            Some(Piece::Variable { meaning, .. })
                if part && matches!(meaning.slot, Slot::Path | Slot::Target) =>
            {
                meaning.slot = Slot::Target;
            }
            _ => joined.push(piece),
        }
    }
    joined
}
