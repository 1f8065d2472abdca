//! Apache's `LogFormat` strings, cut into the same pieces as nginx's.
//!
//! In: the string. Out: text and variables, named by what stands in `%{…}` or by the directive.
//! Does not know: lines.
//! Source: Apache httpd 2.4, `mod_log_config`, "Custom Log Formats".

use super::FormatFault;
use super::log_format::Piece;
use super::names::{FieldMap, Meaning, Slot};
use super::text::Unit;

/// Cuts `%h %l %u %t \"%r\" %>s %{Referer}i` into pieces.
///
/// # Errors
/// [`FormatFault::UnknownDirective`].
pub(super) fn pieces<'f>(body: &str, names: &FieldMap) -> Result<Vec<Piece<'f>>, FormatFault> {
    let body = body
        .trim_matches('"')
        .replace("\\\"", "\"")
        .replace("\\t", "\t");
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = body.as_str();
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            text.push('%');
            rest = after;
            continue;
        }
        // Status conditions (`%400,501{…}i`, `%!200…`) and `<`, `>` change whether or which, not what.
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit() || ",!<>".contains(c));
        let (argument, after) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
            Some((argument, after)) => (argument, after),
            None => ("", after),
        };
        let directive = after.chars().next().unwrap_or(' ');
        rest = after.get(directive.len_utf8()..).unwrap_or_default();
        let meaning = meaning(directive, argument, names)
            .ok_or_else(|| FormatFault::UnknownDirective(format!("%{directive}")))?;
        if meaning.slot == Slot::Time && goes_on(&pieces, &text) {
            text.clear();
            continue;
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text).into()));
        }
        let name = if argument.is_empty() {
            directive.to_string()
        } else {
            argument.to_owned()
        };
        pieces.push(Piece::Variable {
            name: name.into(),
            meaning,
        });
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Ok(pieces)
}

/// True when the time before goes on: `%{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t` is one stamp.
fn goes_on(pieces: &[Piece<'_>], between: &str) -> bool {
    let last = pieces.last();
    matches!(last, Some(Piece::Variable { meaning, .. }) if meaning.slot == Slot::Time)
        && matches!(between, "." | "," | " ")
}

fn meaning(directive: char, argument: &str, names: &FieldMap) -> Option<Meaning> {
    let slot = match (directive, argument) {
        ('a', "c") => Slot::Peer,
        ('a' | 'h', _) => Slot::Remote,
        ('t', _) => Slot::Time,
        ('r', _) => Slot::Request,
        ('s', _) => Slot::Status,
        ('b' | 'B', _) => Slot::Bytes,
        ('m', _) => Slot::Method,
        ('U', _) => Slot::Path,
        ('q', _) => Slot::Query,
        ('u', _) => Slot::User,
        ('v' | 'V', _) => Slot::Host,
        ('L', _) => Slot::RequestId,
        ('D', _) | ('T', "us") => Slot::Duration(Unit::Microseconds),
        ('T', "ms") => Slot::Duration(Unit::Milliseconds),
        ('T', _) => Slot::Duration(Unit::Seconds),
        ('i', header) => return Some(names.meaning(&format!("http_{header}"))),
        ('C', _) => Slot::Cookie,
        ('e' | 'x', variable) => return Some(names.meaning(variable)),
        ('A' | 'f' | 'H' | 'I' | 'k' | 'l' | 'n' | 'o' | 'O' | 'p' | 'P' | 'R' | 'S' | 'X', _) => {
            Slot::Other
        }
        _ => return None,
    };
    Some(Meaning::of(slot))
}
