//! Real gateways that refuse denied tokens, each with the recipe of `deploy/gateways` as it is shipped.
//!
//! In: a folder, the daemon's port, and where its copies of the denylist are. Out: a gateway on a free loopback port.
//! Does not know: tokens.
//! Source: as `gateways.rs`; Debian's `lua-socket` for Apache.

use super::daemon::free_port;
use super::gateways::{Gateway, Ports, adapted, address, peer, upstream};
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

fn nginx_around(folder: &Path, own: u16, load: &str, http: &str, server: &str) -> Command {
    let here = folder.display();
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let kept: String = (kept.iter())
        .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
        .collect();
    let config = format!(
        "{load}daemon off;\nworker_processes 1;\npid {here}/nginx.pid;\nerror_log {here}/error.log;\nevents {{}}\nhttp {{\n{kept}{http}\n\
         server {{\nlisten {};\naccess_log {here}/access.log tokentrip;\n{server}\n}}\n}}\n",
        address(own)
    );
    fs::write(folder.join("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg(folder.join("error.log"));
    command.arg("-c").arg(folder.join("nginx.conf"));
    command
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
    nginx_around(folder, ports.own, "", &http, &server)
}

fn nginx_map(folder: &Path, ports: &Ports, map: &Path) -> Command {
    let here = folder.display().to_string();
    let changes = [
        ("127.0.0.1:9797", address(ports.daemon)),
        ("/etc/nginx", here.clone()),
    ];
    let njs = adapted(
        include_str!("../../deploy/gateways/nginx/njs.conf"),
        &changes,
    );
    fs::write(folder.join("njs.conf"), njs).unwrap();
    let script = include_str!("../../deploy/gateways/nginx/tokentrip.js");
    let script = adapted(script, &[("/etc/nginx", here.clone())]);
    fs::write(folder.join("tokentrip.js"), script).unwrap();
    fs::write(folder.join("tokentrip.key"), [7; 32]).unwrap();
    let file = map.display().to_string();
    let lines = include_str!("../../deploy/gateways/nginx/map.conf");
    let lines = adapted(lines, &[("/var/lib/tokentrip/denied.map", file)]);
    fs::write(folder.join("map.conf"), lines).unwrap();
    let server = format!(
        "location / {{ if ($tokentrip_denied) {{ return 401; }} proxy_pass http://{}; }}",
        address(ports.upstream)
    );
    let load = "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;\n";
    let http = format!("include {here}/njs.conf;\ninclude {here}/map.conf;");
    nginx_around(folder, ports.own, load, &http, &server)
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
    let log = include_str!("../../deploy/gateways/haproxy/tokentrip.cfg");
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
    let changes = [
        (
            "log /dev/log local0",
            "log stdout format raw local0".to_owned(),
        ),
        ("bind :80", format!("bind {}", address(ports.own))),
        ("127.0.0.1:8080", address(ports.upstream)),
        ("\nglobal\n", format!("\nglobal\n{global}")),
        (
            "    default_backend app\n",
            format!("{lines}    default_backend app\n"),
        ),
    ];
    let config = adapted(log, &changes) + &sections;
    fs::write(folder.join("haproxy.cfg"), config).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
    command
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
    let modules = [
        "mpm_event",
        "authz_core",
        "unique_id",
        "remoteip",
        "proxy",
        "proxy_http",
        "lua",
    ];
    let modules: String = (modules.iter())
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let config = format!(
        "ServerRoot {here}\nServerName localhost\nPidFile {here}/pid\nListen {}\nErrorLog {here}/error.log\n{modules}\
         RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\nProxyPass / http://{}/\n{check}",
        address(ports.own),
        address(ports.upstream),
    );
    fs::write(folder.join("httpd.conf"), config).unwrap();
    let mut command = Command::new("apache2");
    command.arg("-X").arg("-f").arg(folder.join("httpd.conf"));
    command
}

fn envoy(folder: &Path, ports: &Ports, away: Away, grpc: bool) -> Command {
    let here = folder.display().to_string();
    let mut config = include_str!("../../deploy/gateways/envoy/tokentrip.yaml").to_owned();
    if grpc {
        let other = include_str!("../../deploy/gateways/envoy/grpc.yaml");
        let (_, rest) = other.split_once("http_filters:\n").unwrap();
        let (filter, cluster) = rest.split_once("clusters:\n").unwrap();
        config = replaced(&config, "- name: envoy.filters.http.ext_authz", filter);
        config = replaced(&config, "- name: tokentrip", cluster);
    }
    let mut changes = vec![
        (
            "address: 0.0.0.0, port_value: 80}",
            format!("address: 127.0.0.1, port_value: {}}}", ports.own),
        ),
        (
            "port_value: 8080",
            format!("port_value: {}", ports.upstream),
        ),
        ("port_value: 9797", format!("port_value: {}", ports.daemon)),
        (
            "xff_num_trusted_hops: 0",
            "xff_num_trusted_hops: 1".to_owned(),
        ),
        ("/var/log/envoy", here.clone()),
        ("/etc/envoy", here),
    ];
    if away == Away::Open {
        changes.push((
            "failure_mode_allow: false",
            "failure_mode_allow: true".to_owned(),
        ));
    }
    fs::write(folder.join("envoy.yaml"), adapted(&config, &changes)).unwrap();
    let keys = include_str!("../fixtures/keys/public.jwks.json");
    fs::write(folder.join("jwks.json"), keys).unwrap();
    let mut command = peer("envoy");
    command.arg("-c").arg(folder.join("envoy.yaml"));
    command.args(["--use-dynamic-base-id", "--concurrency", "1"]);
    command
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
    let here = folder.display().to_string();
    let fixed = include_str!("../../deploy/gateways/traefik/traefik.yml");
    let mut changes = vec![
        ("\":80\"", format!("\"{}\"", address(ports.own))),
        ("10.0.0.0/8", "127.0.0.1/32".to_owned()),
        ("/etc/traefik", here.clone()),
        ("/var/log/traefik", here),
    ];
    let asks = address(free_port());
    let dynamic = match away {
        Away::Closed => include_str!("../../deploy/gateways/traefik/dynamic.yml"),
        Away::Open => {
            let inside = format!(
                "ping: {{manualRouting: true}}\nentryPoints:\n  tokentrip: {{address: \"{asks}\", \
                 forwardedHeaders: {{trustedIPs: [\"127.0.0.1/32\"]}}}}\n"
            );
            changes.push(("entryPoints:\n", inside));
            include_str!("../../deploy/gateways/traefik/fail-open.yml")
        }
    };
    fs::write(folder.join("traefik.yml"), adapted(fixed, &changes)).unwrap();
    let mut changes = vec![
        ("127.0.0.1:9797", address(ports.daemon)),
        ("127.0.0.1:8080", address(ports.upstream)),
    ];
    if away == Away::Open {
        changes.push(("127.0.0.1:9796", asks));
    }
    fs::write(folder.join("dynamic.yml"), adapted(dynamic, &changes)).unwrap();
    let mut command = peer("traefik");
    let config = folder.join("traefik.yml");
    command.arg(format!("--configFile={}", config.display()));
    command
}

fn caddy(folder: &Path, ports: &Ports, away: Away) -> Command {
    let here = folder.display().to_string();
    let mut snippet = include_str!("../../deploy/gateways/caddy/Caddyfile").to_owned();
    let asks = address(free_port());
    let own = format!("http://:{} {{\n\tbind 127.0.0.1", ports.own);
    let mut changes = vec![
        (
            "{\n\tservers",
            "{\n\tadmin off\n\tpersist_config off\n\tservers".to_owned(),
        ),
        ("http://:80 {", own),
        ("10.0.0.0/8", "127.0.0.1/32".to_owned()),
        ("127.0.0.1:9797", address(ports.daemon)),
        ("127.0.0.1:8080", address(ports.upstream)),
        ("/var/log/caddy", here.clone()),
    ];
    if away == Away::Open {
        let open = include_str!("../../deploy/gateways/caddy/fail-open.Caddyfile");
        let begin = snippet.find("\tforward_auth 127.0.0.1:9797 {").unwrap();
        let end = begin + snippet[begin..].find("\n\t}\n").unwrap() + "\n\t}\n".len();
        snippet.replace_range(begin..end, "\timport tokentrip\n");
        let (block, site) = open.split_once("\n\nhttp://").unwrap();
        // Options come first, then snippets, then sites.
        let at = snippet.find("http://:80 {").unwrap();
        snippet.insert_str(at, &format!("{block}\n\n"));
        snippet += &format!("\nhttp://{site}");
        changes.push(("127.0.0.1:9796", asks));
    }
    fs::write(folder.join("Caddyfile"), adapted(&snippet, &changes)).unwrap();
    let mut command = peer("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(folder.join("Caddyfile"));
    command
        .env("XDG_DATA_HOME", &here)
        .env("XDG_CONFIG_HOME", &here);
    command
}
