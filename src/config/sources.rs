//! `[[source]]`: what to read.
//!
//! In: the section. Out: [`Source`]s. Does not know: formats, or whether a log is there yet.

use super::reader::Section;
use crate::domain::mistake::Mistake;
use crate::formats::FieldMap;
use crate::listeners::{Listen, Listener, Tls};
use crate::wrappers::{self, Wanted as Wrapper};
use ipnet::IpNet;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// Logs that are read alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// A path, with `*`, `?`, `[…]` and `**` as in `glob`. Nothing need be there yet.
    pub path: PathBuf,
    /// `auto`, the name of a format, or a `log_format` string of the gateway.
    pub format: String,
    /// The proxies that may say for whom they ask.
    pub trusted_proxies: Vec<IpNet>,
    /// What a field of the log means: the meaning (`token`, `sub`, `client`) and the log's own name
    /// for it.
    pub fields: BTreeMap<String, String>,
    /// Where to begin in a file that was never read before.
    pub read_from: ReadFrom,
    /// What is around the lines: found out, nothing, or a wrapper by its name.
    pub wrapper: Wrapper,
    /// The zone of stamps that name none.
    pub timezone: TimeZone,
    /// A source that sends, in whose stead `path` is the spool of what it sent.
    pub listen: Option<Listener>,
}

/// Where to begin in a file that was never read before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadFrom {
    /// At its first line, so that nothing is missed.
    #[default]
    Beginning,
    /// Behind its last line.
    End,
}

pub(super) fn read(root: &Section<'_>) -> Vec<Source> {
    root.sections("source")
        .iter()
        .filter_map(read_one)
        .collect()
}

fn read_one(section: &Section<'_>) -> Option<Source> {
    let listen = read_listener(section);
    let path = match &listen {
        Some(listener) => Some(listener.spool.clone()),
        None if section.has_any(&["listen"]) => None,
        None => {
            let path = section.required("path", "\"/var/log/nginx/*.log\"");
            path.and_then(|given| section.parse(&given, |text| pattern(section, text)))
        }
    };
    let format = section.text("format").map(|given| given.value);
    let trusted_proxies = section.parsed_list("trusted_proxies", network);
    let words = [("beginning", ReadFrom::Beginning), ("end", ReadFrom::End)];
    let read_from = section.word("read_from", &words).unwrap_or_default();
    let wrapper = section.text("wrapper");
    let wrapper = wrapper.and_then(|given| section.parse(&given, wrapper_named));
    let timezone = section.text("timezone");
    let timezone = timezone.and_then(|given| section.parse(&given, zone_named));
    let fields = read_fields(&section.section("fields"));
    section.end();
    Some(Source {
        path: path?,
        format: format.unwrap_or_else(|| "auto".to_owned()),
        trusted_proxies,
        fields,
        read_from,
        wrapper: wrapper.unwrap_or_default(),
        timezone: timezone.unwrap_or(TimeZone::UTC),
        listen,
    })
}

/// What is to be listened on, instead of a path. The spool is below the folder of the state, which is read later.
fn read_listener(section: &Section<'_>) -> Option<Listener> {
    let given = section.text("listen");
    let tls = Tls {
        certificate: section.file("tls_certificate").unwrap_or_default(),
        key: section.file("tls_key").unwrap_or_default(),
        client_ca: section.file("tls_client_ca"),
    };
    let senders = section.parsed_list("senders", network);
    let listen = section.parse(&given?, |text| listen_on(section, text, &tls))?;
    if section.has_any(&["path"]) {
        section.forbid(
            "path",
            "a source has `path` or `listen`, not both",
            "leave one out",
        );
    }
    Some(Listener {
        spool: listen.file_name().into(),
        listen,
        senders,
    })
}

fn listen_on(section: &Section<'_>, text: &str, tls: &Tls) -> Result<Listen, Mistake> {
    let wrong = |what: &str| {
        Mistake::outside(format!("`{text}` is no listener: {what}")).help(
            "write `udp://127.0.0.1:5514`, `tcp://…`, `tls://…`, `unix:///run/tokentrip.sock`, `unixgram://…` or `stdin`",
        )
    };
    if text == "stdin" {
        return Ok(Listen::Stdin);
    }
    let (kind, place) = text
        .split_once("://")
        .ok_or_else(|| wrong("it has no `://`"))?;
    let address = || {
        place
            .parse()
            .map_err(|_| wrong("an address and a port are missing"))
    };
    let no_files = tls.certificate.as_os_str().is_empty() || tls.key.as_os_str().is_empty();
    match kind {
        "udp" => Ok(Listen::Udp(address()?)),
        "tcp" => Ok(Listen::Tcp(address()?)),
        "tls" if no_files => Err(wrong("`tls_certificate` and `tls_key` are missing")),
        "tls" => Ok(Listen::Tls(address()?, tls.clone())),
        "unix" => Ok(Listen::Unix(section.located(place))),
        "unixgram" => Ok(Listen::UnixDatagram(section.located(place))),
        _ => Err(wrong("it is of no known kind")),
    }
}

fn wrapper_named(text: &str) -> Result<Wrapper, Mistake> {
    Wrapper::of(text).ok_or_else(|| {
        let names: Vec<&str> = wrappers::ALL.iter().map(|known| known.name).collect();
        Mistake::outside(format!("`{text}` is no wrapper"))
            .help(format!("use auto, none, {}", names.join(", ")))
    })
}

pub(super) fn zone_named(text: &str) -> Result<TimeZone, Mistake> {
    TimeZone::get(text).map_err(|_| {
        Mistake::outside(format!("`{text}` is no time zone"))
            .help("use a name of the IANA database, as `Europe/Berlin` or `UTC`")
    })
}

fn read_fields(section: &Section<'_>) -> BTreeMap<String, String> {
    let named = |ours: &'static str| Some((ours.to_owned(), section.text(ours)?.value));
    let fields = FieldMap::names().filter_map(named).collect();
    section.end();
    fields
}

fn pattern(section: &Section<'_>, text: &str) -> Result<PathBuf, Mistake> {
    let path = section.located(text);
    match glob::Pattern::new(&path.to_string_lossy()) {
        Ok(_) => Ok(path),
        Err(error) => Err(
            Mistake::outside(format!("`path` is no pattern: {}", error.msg))
                .help("`*`, `?`, `[abc]` and `**` stand for parts of names"),
        ),
    }
}

/// An address or a network in CIDR notation (RFC 4632, RFC 4291).
pub(super) fn network(text: &str) -> Result<IpNet, Mistake> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let wrong = || Mistake::outside(format!("`{text}` is no network"));
    match text.parse::<IpNet>() {
        Ok(network) if network == network.trunc() => Ok(network),
        Ok(network) => Err(wrong().label(format!("did you mean `{}`?", network.trunc()))),
        Err(_) => {
            Err(wrong().help("write an address and a length, as `10.0.0.0/8` or `2001:db8::/32`"))
        }
    }
}
