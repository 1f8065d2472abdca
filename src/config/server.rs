//! `[server]`, `[[approver]]`, `[places]`, `[state]` and `[privacy]`.
//!
//! In: the sections. Out: [`Server`], [`Approver`]s, [`Places`], [`State`], [`Privacy`].
//! Does not know: sockets, tables, the store.

use super::reader::Section;
use super::receivers::{optional_secret, secret};
use super::sources::network;
use crate::domain::mistake::Mistake;
use crate::outbound::Secret;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where to listen unless told: loopback, with a port that no known service has.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9797);

/// Where to listen.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// For everything that has no address of its own.
    pub listen: SocketAddr,
    /// For `/v1/check`, where it is apart.
    pub check_listen: Option<SocketAddr>,
    /// For `/metrics`, `/healthz` and `/readyz`, where they are apart.
    pub metrics_listen: Option<SocketAddr>,
    /// Gateways on other machines that ask `/v1/check`, and load balancers before them.
    pub trusted_proxies: Vec<IpNet>,
    /// What a viewer of incidents must show. Always there when `listen` is not loopback.
    pub viewer_secret: Option<Secret>,
}

/// Somebody who may approve and undo over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// The name in the audit.
    pub name: String,
    /// What they must show.
    pub secret: Secret,
}

/// Where addresses are; the embedded tables unless files are given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// mmdb files with places.
    pub city: Vec<PathBuf>,
    /// mmdb files with networks.
    pub asn: Vec<PathBuf>,
    /// Networks of one's own: corporate egress, never acted against.
    pub home: Vec<IpNet>,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The folder of snapshots, journal and store.
    pub folder: PathBuf,
}

/// What may leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Privacy {
    /// After how many days incidents are deleted.
    pub retention_days: u32,
}

pub(super) fn read(root: &Section<'_>) -> Server {
    let section = root.section("server");
    let listen = section.text("listen");
    let origin = listen.as_ref().map(|given| given.origin.clone());
    let listen = listen
        .and_then(|given| section.parse(&given, address))
        .unwrap_or(LISTEN);
    let keys = ["viewer_secret", "viewer_secret_file", "viewer_secret_env"];
    let viewer_secret = optional_secret(&section, keys);
    if let Some(origin) = origin.filter(|_| !listen.ip().is_loopback() && !section.has_any(&keys)) {
        let message =
            format!("`{listen}` can be reached from outside, and anybody could read incidents");
        let help = "add `viewer_secret_file`, or listen on 127.0.0.1 and give only the check an \
                    address of its own with `check_listen`";
        section.mistake(&origin, message, "", help);
    }
    let server = Server {
        listen,
        check_listen: section.parsed("check_listen", address),
        metrics_listen: section.parsed("metrics_listen", address),
        trusted_proxies: section.parsed_list("trusted_proxies", network),
        viewer_secret,
    };
    section.end();
    server
}

pub(super) fn read_approvers(root: &Section<'_>) -> Vec<Approver> {
    let sections = root.sections("approver");
    let read = |section: &Section<'_>| {
        let name = section.required("name", "\"ann\"");
        let secret = secret(section, ["secret", "secret_file", "secret_env"]);
        section.end();
        Some(Approver {
            name: name?.value,
            secret: secret?,
        })
    };
    sections.iter().filter_map(read).collect()
}

fn address(text: &str) -> Result<SocketAddr, Mistake> {
    text.parse().map_err(|_| {
        Mistake::outside(format!("`{text}` is no address to listen on"))
            .help("write address and port, as `127.0.0.1:9797` or `[::1]:9797`")
    })
}

pub(super) fn read_places(root: &Section<'_>) -> Places {
    let section = root.section("places");
    let places = Places {
        city: section.files("city"),
        asn: section.files("asn"),
        home: section.parsed_list("home", network),
    };
    section.end();
    places
}

pub(super) fn read_state(root: &Section<'_>) -> State {
    let section = root.section("state");
    let folder = section.path("folder").map(|given| given.value);
    section.end();
    State {
        folder: folder.unwrap_or_else(|| "/var/lib/tokentrip".into()),
    }
}

pub(super) fn read_privacy(root: &Section<'_>) -> Privacy {
    let section = root.section("privacy");
    // Values of queries never leave; subjects and addresses leave as they are.
    for (key, word) in [
        ("addresses", "full"),
        ("subjects", "full"),
        ("queries", "names"),
    ] {
        section.parsed(key, |text| only(text, key, word));
    }
    let privacy = Privacy {
        // A month: long enough for the 72 hours of GDPR article 33 and a look back, short enough to
        // forget.
        retention_days: section.number("retention_days", 1..=3650).unwrap_or(30),
    };
    section.end();
    privacy
}

/// A setting whose other values a later version brings: to take one and do nothing would be a lie.
fn only(text: &str, key: &str, word: &str) -> Result<(), Mistake> {
    if text == word {
        return Ok(());
    }
    Err(
        Mistake::outside(format!("`{key} = \"{text}\"` is not built yet"))
            .label(format!("only `{word}` is"))
            .help("`tokentrip scan --pseudonymise` hides subjects and addresses in its results"),
    )
}
