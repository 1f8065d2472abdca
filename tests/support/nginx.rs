//! A real nginx before an upstream, with the recipe of `deploy/gateways/nginx` as it is shipped.
//!
//! In: a folder, the ports of the daemon and of the upstream. Out: a gateway on a free loopback port.
//! Does not know: tokens.
//! Source: <https://nginx.org/en/docs/http/ngx_http_auth_request_module.html>; Debian's package `nginx`.

use super::daemon::{free_port, get, until};
use std::fs;
use std::path::Path;
use std::process::{Child, Command};

const FORMAT: &str = include_str!("../../deploy/gateways/nginx/tokentrip.conf");
const CHECK: &str = include_str!("../../deploy/gateways/nginx/check.conf");

/// A running gateway, ended when it is dropped.
pub(crate) struct Nginx {
    /// Where it listens.
    pub(crate) port: u16,
    child: Child,
}

impl Nginx {
    /// Starts one that logs to `access.log` in `folder`, checks `/api/` and passes everything to the upstream.
    pub(crate) fn start(folder: &Path, daemon: u16, upstream: u16) -> Self {
        let port = free_port();
        let format = FORMAT.replace("127.0.0.1:9797", &format!("127.0.0.1:{daemon}"));
        fs::write(folder.join("tokentrip.conf"), format).unwrap();
        fs::write(folder.join("tokentrip-check.conf"), CHECK).unwrap();
        let here = folder.display();
        let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let kept: String = (kept.iter())
            .map(|kind| format!("    {kind}_temp_path {here}/{kind};\n"))
            .collect();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {here}/nginx.pid;\nerror_log {here}/error.log;\n\
             events {{}}\nhttp {{\n{kept}    include {here}/tokentrip.conf;\n    server {{\n        \
             listen 127.0.0.1:{port};\n        include {here}/tokentrip-check.conf;\n        \
             access_log {here}/access.log tokentrip;\n        location /api/ {{\n            \
             auth_request /_tokentrip;\n            proxy_pass http://127.0.0.1:{upstream};\n        \
             }}\n        location / {{\n            proxy_pass http://127.0.0.1:{upstream};\n        \
             }}\n    }}\n}}\n"
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let child = Command::new("nginx")
            .arg("-e")
            .arg(folder.join("error.log"))
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .spawn()
            .expect("nginx is installed by tests/all (Debian: apt-get install nginx)");
        let gateway = Self { port, child };
        until("nginx", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        gateway
    }

    /// The status of a request with a token, as a client at `address` behind the load balancer sends it.
    pub(crate) fn ask(&self, path: &str, address: &str, agent: &str, token: &str) -> u16 {
        let bearer = format!("Bearer {token}");
        let fields = [
            ("X-Forwarded-For", address),
            ("User-Agent", agent),
            ("Authorization", &bearer),
        ];
        get(self.port, path, &fields).unwrap().0
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It has one process, and may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
