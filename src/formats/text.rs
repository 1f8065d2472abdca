//! Pieces that several formats share: where lines and tokens begin, escapes, request lines, numbers.
//!
//! In: text of one field. Out: the text meant, or its parts. Nothing here allocates unless there is an escape.
//! Does not know: field names.
//! Source: `log_format escape=` of nginx `ngx_http_log_module`; "Security considerations" of Apache httpd
//! `mod_log_config`; RFC 9112 section 3 (request line).

use super::search::{first, split_at_first};
use crate::domain::event::Scheme;
use crate::domain::scrubbed;
use memchr::memmem::Finder;
use memchr::{memchr_iter, memrchr};
use std::borrow::Cow;
use std::sync::LazyLock;

/// How a JWS begins: `{"` in base64url (RFC 7515, section 3.1).
static JWT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"eyJ"));

/// What stands before a line and is none of it: the zeros that a crash leaves, and a byte order mark.
pub(super) const BEFORE_LINES: [char; 2] = ['\0', '\u{feff}'];

/// The line without what stands before it, which is nearly always nothing.
#[inline]
pub(super) fn begun(line: &str) -> &str {
    match line.as_bytes().first() {
        Some(b' '..=b'~') => line,
        _ => line.trim_start_matches(BEFORE_LINES),
    }
}

/// Where the first of either begins.
pub(super) fn token_at(text: &[u8]) -> Option<usize> {
    let jwt = JWT.find(text);
    let before = jwt.and_then(|at| text.get(..at)).unwrap_or(text);
    scrubbed_at(before).or(jwt)
}

/// Where what `tokentrip scrub` leaves of one begins, with a byte that few lines have.
fn scrubbed_at(text: &[u8]) -> Option<usize> {
    let opening = scrubbed::OPENING.as_bytes();
    memchr_iter(*opening.first()?, text).find(|at| text[*at..].starts_with(opening))
}

/// True when a token may stand in this text.
pub(super) fn holds_token(text: &str) -> bool {
    token_at(text.as_bytes()).is_some()
}

/// Undoes `\xHH`, `\"`, `\\`, `\n`, `\t`, `\r`, `\b`, `\f`, `\v`, `\/`. Bytes that come out as no UTF-8 become
/// U+FFFD; an unknown escape stays as it is.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    match first(b'\\', text.as_bytes()) {
        Some(at) => unescape_from(text, at),
        None => Cow::Borrowed(text),
    }
}

/// The same, where the first backslash is known.
#[cold]
fn unescape_from(text: &str, first: usize) -> Cow<'_, str> {
    let (plain, mut rest) = text.as_bytes().split_at(first);
    let mut bytes = Vec::with_capacity(text.len());
    bytes.extend_from_slice(plain);
    while let Some((&byte, after)) = rest.split_first() {
        let (meant, used) = match (byte, after) {
            (b'\\', [b'x' | b'X', high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => (byte, 1),
            },
            (b'\\', [b'"', ..]) => (b'"', 2),
            (b'\\', [b'\\', ..]) => (b'\\', 2),
            (b'\\', [b'/', ..]) => (b'/', 2),
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'b', ..]) => (8, 2),
            (b'\\', [b'f', ..]) => (12, 2),
            (b'\\', [b'v', ..]) => (11, 2),
            _ => (byte, 1),
        };
        bytes.push(meant);
        rest = rest.get(used..).unwrap_or_default();
    }
    Cow::Owned(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Undoes percent-encoding once.
pub(super) fn percent_decoded(text: &str) -> Cow<'_, str> {
    if first(b'%', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (meant, used) = match (byte, after) {
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (byte, 1),
            },
            _ => (byte, 1),
        };
        bytes.push(meant);
        rest = rest.get(used..).unwrap_or_default();
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text with a space for each `+`, as IIS writes those inside a header.
pub(super) fn plus_decoded(text: &str) -> Cow<'_, str> {
    if first(b'+', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let spaced = |byte| if byte == b'+' { b' ' } else { byte };
    let bytes: Vec<u8> = text.bytes().map(spaced).collect();
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// True when the byte at `at` is escaped: an odd number of backslashes stands before it.
pub(super) fn is_escaped(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    before
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count()
        % 2
        == 1
}

/// A request line's method and target. No method means that this was no HTTP request (a TLS hello on a plain port, a
/// scanner's bytes); the target is then all there is, and empty where the gateway only wrote what it writes for
/// nothing.
pub(super) fn split_request(request: &str) -> (Option<&str>, &str) {
    let Some((method, rest)) = split_at_first(b' ', request) else {
        return (None, request);
    };
    let is_method = !method.is_empty() && method.bytes().all(is_token_byte);
    match split_protocol(rest) {
        Some((target, protocol)) if is_method && protocol.starts_with("HTTP/") => {
            match is_placeholder(method, target) {
                true => (None, ""),
                false => (Some(method), target),
            }
        }
        _ => split_odd_request(request, method, rest, is_method),
    }
}

/// What stands before and behind the last space.
fn split_protocol(rest: &str) -> Option<(&str, &str)> {
    // As nearly every client writes it.
    const USUAL: &str = "HTTP/1.1";
    let usual = rest.len().checked_sub(USUAL.len() + 1);
    let at = usual.filter(|at| rest.as_bytes().get(*at) == Some(&b' '));
    let is_last = |at: &usize| !rest.as_bytes()[at + 1..].contains(&b' ');
    let at = match at.filter(is_last) {
        Some(at) => at,
        None => memrchr(b' ', rest.as_bytes())?,
    };
    Some((rest.get(..at)?, rest.get(at + 1..)?))
}

/// What is not `METHOD target HTTP/…`. HTTP/0.9 has no protocol, and nginx's error log has none of a line that it did
/// not read to its end.
#[cold]
fn split_odd_request<'a>(
    request: &'a str,
    method: &'a str,
    rest: &'a str,
    is_method: bool,
) -> (Option<&'a str>, &'a str) {
    let rest = rest.trim_end();
    let split = rest.rsplit_once(' ');
    let version = |protocol: &str| {
        let name = protocol.get(..5);
        name.is_some_and(|name| name.eq_ignore_ascii_case("HTTP/"))
    };
    match split {
        _ if is_placeholder(method, rest) => (None, ""),
        _ if method == "-" => (None, request),
        Some((target, protocol)) if is_method && version(protocol) => (Some(method), target),
        _ if is_method && (rest.starts_with('/') || split_absolute(rest).is_some()) => {
            (Some(method), rest)
        }
        _ => (None, request),
    }
}

/// `- - HTTP/1.1` of Envoy, `- - -` of AWS: hyphens where there was nothing to write.
fn is_placeholder(method: &str, target: &str) -> bool {
    method == "-" && target.bytes().all(|byte| matches!(byte, b'-' | b' '))
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What a request target consists of. Only the absolute form (RFC 9112, section 3.2.2) has a scheme and a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) origin: Option<(Scheme, &'a str)>,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

/// Cuts a request target.
pub(super) fn split_target(target: &str) -> Target<'_> {
    let (origin, rest) = match split_absolute(target) {
        Some((scheme, host, rest)) => (Some((scheme, host)), rest),
        None => (None, target),
    };
    let (path, query) = match split_at_first(b'?', rest) {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    // `http://example.com` asks for the root (RFC 3986, section 6.2.3).
    let path = match (path, origin) {
        ("", Some(_)) => "/",
        _ => path,
    };
    Target {
        origin,
        path,
        query,
    }
}

/// Scheme, host with its port, and the rest of an absolute target.
#[inline]
fn split_absolute(target: &str) -> Option<(Scheme, &str, &str)> {
    if target.starts_with('/') {
        return None;
    }
    let (scheme, rest) = split_at_first(b':', target)?;
    let rest = rest.strip_prefix("//")?;
    let scheme = Scheme::of(scheme)?;
    let ends = |byte| matches!(byte, b'/' | b'?' | b'#');
    let (authority, rest) = rest.split_at(rest.bytes().position(ends).unwrap_or(rest.len()));
    // A password before the host is no part of it.
    let host = memrchr(b'@', authority.as_bytes()).and_then(|at| authority.get(at + 1..));
    let host = host.unwrap_or(authority);
    Some((scheme, host, rest))
}

/// A count in decimal digits and nothing else.
pub(super) fn number(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.bytes().try_fold(0u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum * 10 + u64::from(digit))
    })
}

/// True for what stands between two strings of one array.
pub(super) fn is_between_elements(text: &str) -> bool {
    text.contains(',') && text.bytes().all(|byte| matches!(byte, b'"' | b',' | b' '))
}

/// The status, or 0: what has not three digits is none (RFC 9110, section 15), and may be what is left of one.
pub(super) fn status(text: &str) -> u16 {
    number(text)
        .or_else(|| status_among(text))
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (100..1000).contains(status))
        .unwrap_or(0)
}

/// `200 OK`, `200.0`
#[cold]
fn status_among(text: &str) -> Option<u64> {
    let (status, behind) = text.split_at_checked(3)?;
    let is_text = behind.starts_with(' ') || behind.trim_end_matches('0') == ".";
    number(status).filter(|_| is_text)
}

/// What a duration is counted in when its text does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    /// Seconds with a decimal point (Caddy), else milliseconds (Envoy).
    ByShape,
}

/// A duration in milliseconds, rounded down. A unit written after the number (`42ms`, `0.1s`) wins; of several
/// numbers (nginx lists one for each upstream it tried) the last counts.
pub(super) fn duration_ms(text: &str, unit: Unit) -> Option<u32> {
    // As nearly every log writes it: one number and nothing round it.
    if let Some(count) = decimal(text) {
        return in_ms(count, unit, text);
    }
    let last = text.rsplit([',', ':']).next().unwrap_or(text).trim();
    let digits = last.trim_end_matches(|c: char| c.is_alphabetic());
    let digits = if digits.ends_with(['.', '-', '+']) || digits.is_empty() {
        last
    } else {
        digits
    };
    let suffix = last.get(digits.len()..).unwrap_or_default();
    let unit = match suffix {
        "s" => Unit::Seconds,
        "ms" => Unit::Milliseconds,
        "us" | "µs" | "μs" => Unit::Microseconds,
        "ns" => Unit::Nanoseconds,
        _ => unit,
    };
    let count = match decimal(digits) {
        Some(count) => count,
        None => digits.parse().ok()?,
    };
    in_ms(count, unit, digits)
}

fn in_ms(count: f64, unit: Unit, digits: &str) -> Option<u32> {
    let per_ms = match unit {
        Unit::Seconds => 0.001,
        Unit::Milliseconds => 1.0,
        Unit::Microseconds => 1e3,
        Unit::Nanoseconds => 1e6,
        Unit::ByShape if digits.contains(['.', 'e', 'E']) => 0.001,
        Unit::ByShape => 1.0,
    };
    // Half a microsecond repairs what binary fractions lose: 0.057 s is 57 ms.
    let ms = count / per_ms + 0.0005;
    (0.0..f64::from(u32::MAX))
        .contains(&ms)
        .then_some(ms as u32)
}

/// `123` or `0.123`, the two shapes nearly every log uses, without the general parser.
fn decimal(text: &str) -> Option<f64> {
    match text.as_bytes() {
        [whole @ .., b'.', a, b, c] => {
            let thousandths = [a, b, c].into_iter().try_fold(0u64, |sum, byte| {
                let digit = byte.wrapping_sub(b'0');
                (digit < 10).then(|| sum * 10 + u64::from(digit))
            })?;
            let whole = number(text.get(..whole.len())?).filter(|whole| *whole < 1 << 40)?;
            Some((whole * 1000 + thousandths) as f64 / 1000.0)
        }
        _ => number(text).map(|whole| whole as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_nginx_and_apache_are_undone() {
        for (logged, meant) in [
            (r"plain", "plain"),
            (r"a\x22b\x5Cc", "a\"b\\c"),
            (r#"say \"hi\" \\ \t."#, "say \"hi\" \\ \t."),
            (r"\xD0\x96", "Ж"),
            (r"\xFF!", "\u{fffd}!"),
            (r"\xZZ \q \", r"\xZZ \q \"),
        ] {
            assert_eq!(unescape(logged), meant, "{logged}");
        }
    }

    #[test]
    fn a_request_line_gives_method_and_target_or_all_of_itself() {
        for (request, method, target) in [
            ("GET / HTTP/1.1", Some("GET"), "/"),
            ("GET /a b?c=d e HTTP/2.0", Some("GET"), "/a b?c=d e"),
            ("GET /old", Some("GET"), "/old"),
            ("HELP", None, "HELP"),
            ("", None, ""),
            (r"\x16\x03\x01 \x02", None, r"\x16\x03\x01 \x02"),
            ("GET / HTTX/1.1", Some("GET"), "/ HTTX/1.1"),
            ("OPTIONS * HTTP/1.1", Some("OPTIONS"), "*"),
            ("GET /a HTTP/1.1 ", Some("GET"), "/a"),
            ("get /a http/1.0", Some("get"), "/a"),
            (
                "POST https://a.example/b",
                Some("POST"),
                "https://a.example/b",
            ),
            (
                "CONNECT a.example:443 HTTP/1.1",
                Some("CONNECT"),
                "a.example:443",
            ),
            ("- - HTTP/1.1", None, ""),
            ("- - - ", None, ""),
            ("- http://a.example:80- -", None, "- http://a.example:80- -"),
        ] {
            assert_eq!(split_request(request), (method, target), "{request}");
        }
    }

    #[test]
    fn targets_split_in_every_form() {
        let (http, https) = (Scheme::Http, Scheme::Https);
        for (target, origin, path, query) in [
            ("/a?b=c?d", None, "/a", Some("b=c?d")),
            ("/a?", None, "/a", Some("")),
            (
                "http://example.com/a?b",
                Some((http, "example.com")),
                "/a",
                Some("b"),
            ),
            (
                "https://example.com",
                Some((https, "example.com")),
                "/",
                None,
            ),
            (
                "HTTPS://u:p@example.com:8443?b",
                Some((https, "example.com:8443")),
                "/",
                Some("b"),
            ),
            ("example.com:443", None, "example.com:443", None),
            ("*", None, "*", None),
            ("gopher://example.com/", None, "gopher://example.com/", None),
            (
                "/go?to=http://example.com/",
                None,
                "/go",
                Some("to=http://example.com/"),
            ),
        ] {
            let cut = Target {
                origin,
                path,
                query,
            };
            assert_eq!(split_target(target), cut, "{target}");
        }
    }

    #[test]
    fn durations_in_every_unit() {
        use Unit::*;
        for (text, unit, ms) in [
            ("0.057", Seconds, Some(57)),
            ("12", Seconds, Some(12_000)),
            ("2.701e-6", ByShape, Some(0)),
            ("0.794682124", ByShape, Some(794)),
            ("57", ByShape, Some(57)),
            ("57123", Microseconds, Some(57)),
            ("1500000", Nanoseconds, Some(1)),
            ("42ms", Seconds, Some(42)),
            ("0.1s", Milliseconds, Some(100)),
            ("0.001, 0.200", Seconds, Some(200)),
            ("-", Seconds, None),
            ("-1", Seconds, None),
            ("1e99", Seconds, None),
            ("NaN", Seconds, None),
        ] {
            assert_eq!(duration_ms(text, unit), ms, "{text}");
        }
    }
}
