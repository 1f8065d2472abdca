//! Real gateways that refuse denied tokens, each with the recipe of `deploy/gateways` as it is shipped.
//!
//! In: a folder, the daemon's port, and where its copies of the denylist are. Out: a gateway on a free loopback port.
//! Does not know: tokens.
//! Source: as `gateways.rs`; Debian's `lua-socket` for Apache.

use super::daemon::free_port;
use super::gateways::{self, Gateway, Ports, adapted, address, upstream};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which gateway, and how it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denier {
    Nginx,
    NginxMap,
    HaProxy,
    Apache,
    EnvoyHttp,
    EnvoyGrpc,
    Traefik,
    Caddy,
}

/// A master that reads its configuration again, and one worker.
const ONE: &str = "worker_processes 1;\n";

/// What the recipe does while the daemon is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Away {
    Closed,
    Open,
}

impl Denier {
    pub(crate) const ALL: [Self; 8] = [
        Self::Nginx,
        Self::NginxMap,
        Self::HaProxy,
        Self::Apache,
        Self::EnvoyHttp,
        Self::EnvoyGrpc,
        Self::Traefik,
        Self::Caddy,
    ];

    /// Starts it in a folder of its own below `folder`, in which the daemon has its configuration.
    pub(crate) fn start(self, folder: &Path, daemon: u16, away: Away) -> Gateway {
        let own = folder.join(format!("{self:?}-{away:?}"));
        fs::create_dir(&own).unwrap();
        let ports = Ports {
            own: free_port(),
            upstream: upstream(),
            daemon,
        };
        let command = match self {
            Self::Nginx => nginx(&own, &ports, away),
            Self::NginxMap => nginx_map(&own, &ports, &map_of(folder)),
            Self::HaProxy => haproxy(&own, &ports, away, &socket_of(folder)),
            Self::Apache => apache(&own, &ports, away),
            Self::EnvoyHttp => envoy(&own, &ports, away, false),
            Self::EnvoyGrpc => envoy(&own, &ports, away, true),
            Self::Traefik => traefik(&own, &ports, away),
            Self::Caddy => caddy(&own, &ports, away),
        };
        Gateway::spawn(&format!("{self:?}"), command, &own, &ports)
    }
}

/// Where the daemon keeps nginx' map.
pub(crate) fn map_of(folder: &Path) -> PathBuf {
    folder.join("denied.map")
}

/// Where HAProxy's runtime socket is.
pub(crate) fn socket_of(folder: &Path) -> PathBuf {
    folder.join("haproxy.sock")
}

/// The copies of the denylist that these gateways read, for the daemon's configuration.
pub(crate) fn mirrors(folder: &Path) -> String {
    format!(
        "[[mirror]]\nkind = \"nginx_map\"\npath = \"{}\"\n[[mirror]]\nkind = \"haproxy\"\nsocket = \"{}\"\n",
        map_of(folder).display(),
        socket_of(folder).display()
    )
}

fn nginx(folder: &Path, ports: &Ports, away: Away) -> Command {
    let here = folder.display();
    let format = include_str!("../../deploy/gateways/nginx/tokentrip.conf");
    let format = adapted(format, &[("127.0.0.1:9797", address(ports.daemon))]);
    fs::write(folder.join("tokentrip.conf"), format).unwrap();
    let check = match away {
        Away::Closed => include_str!("../../deploy/gateways/nginx/check.conf"),
        Away::Open => include_str!("../../deploy/gateways/nginx/check-fail-open.conf"),
    };
    fs::write(folder.join("check.conf"), check).unwrap();
    let server = format!(
        "include {here}/check.conf;\nlocation / {{ auth_request /_tokentrip; proxy_pass http://{}; }}",
        address(ports.upstream)
    );
    let http = format!("include {here}/tokentrip.conf;");
    gateways::nginx_around(folder, ports.own, ONE, &http, &server)
}

fn nginx_map(folder: &Path, ports: &Ports, map: &Path) -> Command {
    let file = map.display().to_string();
    let lines = include_str!("../../deploy/gateways/nginx/map.conf");
    let lines = adapted(lines, &[("/var/lib/tokentrip/denied.map", file)]);
    fs::write(folder.join("map.conf"), lines).unwrap();
    let server = format!(
        "location / {{ if ($tokentrip_denied) {{ return 401; }} proxy_pass http://{}; }}",
        address(ports.upstream)
    );
    let http = gateways::njs(folder, ports);
    let http = format!("{http}\ninclude {}/map.conf;", folder.display());
    let main = format!("{}{ONE}", gateways::NJS);
    gateways::nginx_around(folder, ports.own, &main, &http, &server)
}

/// What stands under each section of a snippet that is spread over several: the lines of `frontend` go into the one
/// frontend there is.
fn section<'a>(snippet: &'a str, name: &str) -> &'a str {
    let (_, rest) = snippet.split_once(&format!("\n{name}\n")).unwrap();
    let end = rest.match_indices('\n').find(|(at, _)| {
        let next = rest[at + 1..].chars().next();
        next.is_some_and(|c| c.is_ascii_lowercase() || c == '#')
    });
    end.map_or(rest, |(at, _)| &rest[..=at])
}

fn haproxy(folder: &Path, ports: &Ports, away: Away, socket: &Path) -> Command {
    let deny = include_str!("../../deploy/gateways/haproxy/deny.cfg");
    let closed = include_str!("../../deploy/gateways/haproxy/deny-fail-closed.cfg");
    let mut lines = section(deny, "frontend web").to_owned();
    let mut sections = format!(
        "\nbackend tokentrip\n{}",
        section(deny, "backend tokentrip")
    );
    if away == Away::Closed {
        lines = format!("{}{lines}", section(closed, "frontend web"));
        let daemon = section(closed, "backend tokentrip_daemon");
        let daemon = adapted(daemon, &[("127.0.0.1:9797", address(ports.daemon))]);
        sections += &format!("\nbackend tokentrip_daemon\n{daemon}");
    }
    let global = adapted(
        section(deny, "global"),
        &[("/run/haproxy/admin.sock", socket.display().to_string())],
    );
    let changes = vec![
        ("\nglobal\n", format!("\nglobal\n{global}")),
        (
            "    default_backend app\n",
            format!("{lines}    default_backend app\n"),
        ),
    ];
    gateways::haproxy(folder, ports, changes, &sections)
}

fn apache(folder: &Path, ports: &Ports, away: Away) -> Command {
    let here = folder.display().to_string();
    let script = include_str!("../../deploy/gateways/apache/tokentrip.lua");
    let port = format!("'127.0.0.1', {}", ports.daemon);
    let script = adapted(script, &[("'127.0.0.1', 9797", port)]);
    fs::write(folder.join("tokentrip.lua"), script).unwrap();
    let check = include_str!("../../deploy/gateways/apache/check.conf");
    let mut changes = vec![("/etc/apache2", here.clone())];
    if away == Away::Open {
        changes.push((
            "tokentrip.lua check early",
            "tokentrip.lua check_fail_open early".to_owned(),
        ));
    }
    let check = adapted(check, &changes);
    gateways::apache(folder, ports, "lua", &check)
}

fn envoy(folder: &Path, ports: &Ports, away: Away, grpc: bool) -> Command {
    let mut config = include_str!("../../deploy/gateways/envoy/tokentrip.yaml").to_owned();
    if grpc {
        let other = include_str!("../../deploy/gateways/envoy/grpc.yaml");
        let (_, rest) = other.split_once("http_filters:\n").unwrap();
        let (filter, cluster) = rest.split_once("clusters:\n").unwrap();
        config = replaced(&config, "- name: envoy.filters.http.ext_authz", filter);
        config = replaced(&config, "- name: tokentrip", cluster);
    }
    let changes = match away {
        Away::Closed => Vec::new(),
        Away::Open => vec![(
            "failure_mode_allow: false",
            "failure_mode_allow: true".to_owned(),
        )],
    };
    gateways::envoy(folder, ports, &config, changes)
}

/// A list of YAML with the entry that begins so replaced by another, indented as the first was.
fn replaced(yaml: &str, begin: &str, entry: &str) -> String {
    let lines: Vec<&str> = yaml.lines().collect();
    let first = lines.iter().position(|line| line.trim() == begin).unwrap();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let indent = depth(lines[first]);
    let of_entry = |line: &&&str| depth(line) > indent || line.is_empty();
    let after = first + 1 + lines[first + 1..].iter().take_while(of_entry).count();
    let entry = entry.lines().map(|line| {
        let line = line.strip_prefix("  ").unwrap_or(line);
        format!("{}{line}", " ".repeat(indent))
    });
    let before = lines[..first].iter().map(|line| (*line).to_owned());
    let rest = lines[after..].iter().map(|line| (*line).to_owned());
    before
        .chain(entry)
        .chain(rest)
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

fn traefik(folder: &Path, ports: &Ports, away: Away) -> Command {
    if away == Away::Closed {
        let dynamic = include_str!("../../deploy/gateways/traefik/dynamic.yml");
        return gateways::traefik(folder, ports, Vec::new(), dynamic, Vec::new());
    }
    let asks = address(free_port());
    let inside = format!(
        "ping: {{manualRouting: true}}\nentryPoints:\n  tokentrip: {{address: \"{asks}\", \
         forwardedHeaders: {{trustedIPs: [\"127.0.0.1/32\"]}}}}\n"
    );
    let fixed = vec![("entryPoints:\n", inside)];
    let dynamic = include_str!("../../deploy/gateways/traefik/fail-open.yml");
    gateways::traefik(
        folder,
        ports,
        fixed,
        dynamic,
        vec![("127.0.0.1:9796", asks)],
    )
}

fn caddy(folder: &Path, ports: &Ports, away: Away) -> Command {
    let mut snippet = include_str!("../../deploy/gateways/caddy/Caddyfile").to_owned();
    if away == Away::Closed {
        return gateways::caddy(folder, ports, &snippet, Vec::new());
    }
    let open = include_str!("../../deploy/gateways/caddy/fail-open.Caddyfile");
    let begin = snippet.find("\tforward_auth 127.0.0.1:9797 {").unwrap();
    let end = begin + snippet[begin..].find("\n\t}\n").unwrap() + "\n\t}\n".len();
    snippet.replace_range(begin..end, "\timport tokentrip\n");
    let (block, site) = open.split_once("\n\nhttp://").unwrap();
    // Options come first, then snippets, then sites.
    let at = snippet.find("http://:80 {").unwrap();
    snippet.insert_str(at, &format!("{block}\n\n"));
    snippet += &format!("\nhttp://{site}");
    let asks = vec![("127.0.0.1:9796", address(free_port()))];
    gateways::caddy(folder, ports, &snippet, asks)
}
