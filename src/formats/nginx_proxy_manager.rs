//! nginx Proxy Manager: its two formats, for proxied and for other hosts, and nginx's own for the default host.
//!
//! In: a line. Out: [`AccessEvent`].
//! Does not know: how format strings are cut; see [`super::log_format`].
//! Source: `log_format proxy` and `standard` in nginx-proxy-manager, `docker/rootfs/etc/nginx/nginx.conf`.

use super::log_format::Pattern;
use super::names::FieldMap;
use super::{Format, LineFormat};
use crate::domain::event::AccessEvent;
use crate::domain::line::SkipReason;
use std::sync::Arc;

pub(super) static FORMAT: Format = Format {
    name: "nginx_proxy_manager",
    aliases: &["npm"],
    about: "[time] cache upstream status - method scheme host \"target\" [Client …] …",
    open: |names| Arc::new(NginxProxyManager::new(names)),
};

const PROXY: &str = r#"[$time_local] $upstream_cache_status $upstream_status $status - $request_method $scheme $host "$request_uri" [Client $remote_addr] [Length $body_bytes_sent] [Gzip $gzip_ratio] [Sent-to $server] "$http_user_agent" "$http_referer""#;
const STANDARD: &str = r#"[$time_local] $status - $request_method $scheme $host "$request_uri" [Client $remote_addr] [Length $body_bytes_sent] [Gzip $gzip_ratio] "$http_user_agent" "$http_referer""#;

struct NginxProxyManager {
    formats: Vec<Pattern>,
    combined: Arc<dyn LineFormat>,
}

impl NginxProxyManager {
    fn new(names: &FieldMap) -> Self {
        let formats = [PROXY, STANDARD]
            .into_iter()
            .filter_map(|f| Pattern::compile(f, names).ok());
        Self {
            formats: formats.collect(),
            combined: (super::combined::FORMAT.open)(names),
        }
    }
}

impl LineFormat for NginxProxyManager {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        if !line.starts_with('[') {
            return self.combined.parse(line, event);
        }
        for format in &self.formats {
            if format.parse(line, event).is_ok() {
                return Ok(());
            }
            *event = AccessEvent::default();
        }
        Err(SkipReason::Malformed)
    }
}
