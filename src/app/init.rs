//! `tokentrip init`: from "I have a log" to a configuration, and to a log that shows tokens without giving them away.
//!
//! In: logs, or the usual places of gateways. Out: what was recognised, `tokentrip.toml`, and the snippet for the
//! gateway where its log shows no token, or whole ones.
//! Does not know: whether the daemon may read what this user may ([`super::doctor`] asks that).

use super::Error;
use super::gateways::{self, Gateway};
use super::look::Look;
use super::scan::streams::{SAMPLE_LINES, Stream, Wanted};
use crate::cli;
use crate::domain::ids::IdKey;
use crate::domain::mask::mask;
use crate::domain::token::Form;
use crate::engine::paths::Paths;
use crate::engine::prepare::Front;
use crate::ingest::discover::{self, Found, Input};
use crate::ingest::lines::CHUNK_BYTES;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Logs looked at: a folder of years of archives tells no more than its first hundred.
const LOGS_MAX: usize = 100;

/// Fewer requests than this say nothing about who is behind them.
const REQUESTS_MIN: u64 = 20;

/// One log that was looked at.
struct Log {
    path: String,
    /// Format and how sure that is; `None` when nothing fits.
    format: Option<(String, f64)>,
    gateway: Option<&'static Gateway>,
    look: Look,
    /// True for what a rotation left: nothing to follow.
    old: bool,
}

/// Runs the command.
///
/// # Errors
/// When there is no log, none can be read, or the configuration is there already.
pub(super) fn run(options: &cli::Init) -> Result<u8, Error> {
    let to = &options.to;
    if to.exists() {
        return Err(
            Error::new(format!("{} is there already", to.display())).help(
                "name another file with --to, or check that one with `tokentrip doctor --config`",
            ),
        );
    }
    let named = named(&options.paths)?;
    let found = discover::discover(&named).map_err(Error::shown)?;
    let front = front()?;
    let logs: Vec<Log> = (found.iter().take(LOGS_MAX))
        .filter_map(|found| log(found, &front))
        .collect();
    let mut out = String::new();
    for log in &logs {
        let _ = writeln!(out, "{}", shown(log));
    }
    if found.len() > LOGS_MAX {
        let _ = writeln!(out, "and {} more, not looked at", found.len() - LOGS_MAX);
    }
    let text = configuration(&logs);
    write_new(to, &text)
        .map_err(|error| Error::new(format!("cannot write {}: {error}", to.display())))?;
    let _ = writeln!(out, "\nwrote {}", to.display());
    out += &advice(&logs, to);
    match io::stdout().lock().write_all(mask(&out).as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::shown(error)),
        _ => Ok(0),
    }
}

/// The logs to look at: those that were named, or those that stand where gateways write.
fn named(paths: &[OsString]) -> Result<Vec<OsString>, Error> {
    if !paths.is_empty() {
        return Ok(paths.to_vec());
    }
    let places = gateways::ALL.iter().flat_map(|gateway| gateway.places);
    let there: Vec<OsString> = (places.clone())
        .filter(|place| Path::new(place).exists())
        .map(OsString::from)
        .collect();
    if there.is_empty() {
        let places: Vec<&str> = places.copied().collect();
        return Err(Error::new(format!("no log in {}", places.join(", ")))
            .help("name it: tokentrip init /path/to/access.log"));
    }
    Ok(there)
}

fn front() -> Result<Front, Error> {
    let mut probe = [0; 32];
    getrandom::fill(&mut probe)
        .map_err(|error| Error::new(format!("the system gives no random bytes: {error}")))?;
    Ok(Front {
        key: IdKey::public(probe),
        paths: Paths::new(Vec::new(), Vec::new()),
    })
}

/// Looks at one log; `None` for what is no log.
fn log(found: &Found, front: &Front) -> Option<Log> {
    let path = match &found.input {
        Input::File(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
        Input::Stdin => return None,
    };
    let path = path.display().to_string();
    let old = is_old(&path);
    let Ok(stream) = Stream::sniff(found, &Wanted::default(), front) else {
        return Some(Log {
            path,
            format: None,
            gateway: None,
            look: Look::default(),
            old,
        });
    };
    let (_, chunk) = stream.next_chunk(CHUNK_BYTES).1.ok()??;
    let look = Look::at(
        &stream.reading,
        chunk.lines().take(SAMPLE_LINES),
        &front.key,
    );
    Some(Log {
        gateway: stream.gateway,
        format: Some((stream.reading.parser.name().to_owned(), stream.confidence)),
        path,
        look,
        old,
    })
}

/// True for names that rotation gives: `.1`, `.gz`, `-20260504`.
fn is_old(path: &str) -> bool {
    let packed = [".gz", ".zst", ".bz2", ".xz"]
        .iter()
        .any(|ending| path.ends_with(ending));
    let last = path.rsplit(['.', '-']).next().unwrap_or_default();
    packed || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

fn shown(log: &Log) -> String {
    let Some((format, confidence)) = &log.format else {
        return format!(
            "{}\n    no format fits: try `tokentrip parse --format FORMAT`",
            log.path
        );
    };
    let gateway = log
        .gateway
        .map_or("unknown gateway", |gateway| gateway.name);
    format!(
        "{}\n    {gateway}, format {format} ({:.0} % sure), {} requests: {}",
        log.path,
        confidence * 100.0,
        log.look.events,
        log.look.shown_forms()
    )
}

/// The configuration for these logs, with what cannot be known from them as comments.
fn configuration(logs: &[Log]) -> String {
    let mut text = String::from(
        "# Written by `tokentrip init`. A relative path starts at the folder of this file.\n\
         # Check it with: tokentrip doctor --config tokentrip.toml\n",
    );
    for log in logs.iter().filter(|log| log.format.is_some() && !log.old) {
        let Some((format, confidence)) = &log.format else {
            continue;
        };
        let _ = write!(
            text,
            "\n[[source]]                                 # {}: {}\npath = {}\nformat = \"auto\"                            # {format}, {:.0} % sure\n",
            log.gateway
                .map_or("unknown gateway", |gateway| gateway.name),
            log.look.shown_forms(),
            quoted(&log.path),
            confidence * 100.0,
        );
        text += &match log.look.only_client(REQUESTS_MIN) {
            Some(proxy) => format!("trusted_proxies = [\"{proxy}\"]            # every request came from it: is it your load balancer?\n"),
            None => "# trusted_proxies = [\"10.0.0.0/8\"]         # your load balancer, if there is one\n".to_owned(),
        };
    }
    let mut issuers: Vec<&String> = logs.iter().flat_map(|log| &log.look.issuers).collect();
    issuers.sort();
    issuers.dedup();
    text += "\n# Whose tokens are protected. With keys, signatures are verified; without, an answer 2xx has to do.\n";
    for issuer in &issuers {
        let _ = write!(
            text,
            "[[issuer]]\nissuer = {}\n# jwks = \"https://…/jwks.json\"             # or a file\n# protected_paths = [\"/api/\"]              # where only valid tokens pass\n",
            quoted(issuer)
        );
    }
    if issuers.is_empty() {
        text += "# [[issuer]]\n# issuer = \"https://idp.example.com/\"\n# jwks = \"https://idp.example.com/jwks.json\"\n# protected_paths = [\"/api/\"]\n";
    }
    text + REST
}

/// What no log tells.
const REST: &str = r#"
[response]
mode = "observe"                           # observe | dry-run | approve | enforce

# Who is told.
# [[sink]]
# kind = "webhook"
# level_min = "high"
# url = "https://hooks.example.com/tokentrip"
# secret_file = "/etc/tokentrip/hook.secret"

# Who ends sessions.
# [[provider]]
# kind = "keycloak"
# issuer = "https://idp.example.com/realms/shop"
# base_url = "https://idp.example.com"
# realm = "shop"
# client_id = "tokentrip"
# client_secret_file = "/etc/tokentrip/keycloak.secret"

[server]
listen = "127.0.0.1:9797"                  # /v1/check, /metrics, /v1/incidents

[state]
folder = "/var/lib/tokentrip"
"#;

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(mask(text).into_owned()).to_string()
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    // Nobody else need know which logs are watched; secrets are in files of their own.
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// What to do next.
fn advice(logs: &[Log], to: &Path) -> String {
    let mut text = String::new();
    if let Some(proxy) = logs
        .iter()
        .find_map(|log| log.look.only_client(REQUESTS_MIN))
    {
        text += &proxy_words(proxy);
    }
    let raw = logs.iter().any(|log| log.look.of(Form::Raw) > 0);
    if raw {
        text += "\nwhole tokens stand in these logs: whoever reads them can use the tokens until they expire\n    \
                 what is there: tokentrip scrub --in-place LOG, once it was rotated\n";
    }
    let blind = logs.iter().all(|log| log.look.is_blind());
    let lacking = logs
        .iter()
        .filter(|log| blind || log.look.of(Form::Raw) > 0);
    let mut advised: Vec<Option<&Gateway>> = Vec::new();
    for gateway in lacking.map(|log| log.gateway) {
        if advised.contains(&gateway) {
            continue;
        }
        advised.push(gateway);
        let advice = gateway.map_or_else(|| OWN_FIELDS.to_owned(), Gateway::advice);
        let _ = write!(text, "\nfor {advice}");
    }
    let _ = write!(
        text,
        "\nnext:\n    tokentrip doctor --config {0}\n    tokentrip scan --config {0} LOG\n    tokentrip watch --config {0}\n",
        to.display()
    );
    text
}

/// For logs of nobody whom we know.
const OWN_FIELDS: &str = "a gateway of your own: log claims of the token as fields `jwt_iss`, \
     `jwt_sub`, `jwt_jti` or `jwt_sid`, and `jwt_exp`, or a keyed hash of its first two parts as \
     `jwt_hash`; fields of other names are for `[source.fields]`, and snippets for known gateways \
     in deploy/gateways\n";

fn proxy_words(proxy: IpAddr) -> String {
    format!(
        "\nevery request came from {proxy}: if that is your load balancer, have the gateway log X-Forwarded-For; \
         `trusted_proxies` is set\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_and_packed_logs_are_nothing_to_follow() {
        for (path, old) in [
            ("/var/log/nginx/access.log", false),
            ("/var/log/nginx/access.log.1", true),
            ("/var/log/nginx/access.log.2.gz", true),
            ("/var/log/httpd/access_log-20260504", true),
            ("/srv/app-v2.log", false),
        ] {
            assert_eq!(is_old(path), old, "{path}");
        }
    }
}
