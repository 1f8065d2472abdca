//! Who writes the logs that people have, and what to put into each so that its log shows tokens and gives none away.
//!
//! In: the name of a log, of its format, and one of its lines. Out: the [`Gateway`] that wrote it, with its snippet.
//! Does not know: formats; two gateways may write the same one, and then the name of the log decides.

mod services;

use std::fmt::Write;

/// One gateway, or a service whose log is like one's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gateway {
    /// What people call it.
    pub(crate) name: &'static str,
    /// Words in the name of its format or log.
    words: &'static [&'static str],
    /// What only its lines hold.
    marks: &'static [&'static str],
    /// Where its log usually is.
    pub(crate) places: &'static [&'static str],
    means: Means,
}

/// What makes a log show tokens and give none away.
#[derive(Debug, PartialEq, Eq)]
enum Means {
    /// A snippet of ours.
    Snippet {
        /// What the log holds with it.
        holds: &'static str,
        /// Each file: where it goes, and what is in it.
        files: &'static [(&'static str, &'static str)],
    },
    /// What there is to do elsewhere.
    Words(&'static str),
}

/// Every gateway there is a snippet for. nginx is last: its words and format are the most common.
pub(crate) const ALL: &[Gateway] = &[
    Gateway {
        name: "HAProxy",
        words: &["haproxy"],
        marks: &[" haproxy["],
        places: &["/var/log/haproxy.log"],
        means: Means::Snippet {
            holds: "claims and a keyed hash",
            files: &[(
                "/etc/haproxy/haproxy.cfg",
                include_str!("../../deploy/gateways/haproxy/tokentrip.cfg"),
            )],
        },
    },
    Gateway {
        name: "Envoy",
        words: &["envoy", "istio"],
        marks: &["\"response_flags\"", "\"upstream_cluster\"", "x-envoy-"],
        places: &["/var/log/envoy"],
        means: Means::Snippet {
            holds: "claims that Envoy verified",
            files: &[(
                "/etc/envoy/envoy.yaml",
                include_str!("../../deploy/gateways/envoy/tokentrip.yaml"),
            )],
        },
    },
    Gateway {
        name: "Traefik",
        words: &["traefik"],
        marks: &[
            "\"DownstreamStatus\"",
            "\"entryPointName\"",
            "@docker\" ",
            "@file\" ",
        ],
        places: &["/var/log/traefik"],
        means: Means::Snippet {
            holds: "a keyed hash that /v1/check gives",
            files: &[
                (
                    "/etc/traefik/traefik.yml",
                    include_str!("../../deploy/gateways/traefik/traefik.yml"),
                ),
                (
                    "/etc/traefik/dynamic.yml",
                    include_str!("../../deploy/gateways/traefik/dynamic.yml"),
                ),
            ],
        },
    },
    Gateway {
        name: "Caddy",
        words: &["caddy"],
        marks: &["http.log.access"],
        places: &["/var/log/caddy"],
        means: Means::Snippet {
            holds: "the token without its signature",
            files: &[(
                "/etc/caddy/Caddyfile",
                include_str!("../../deploy/gateways/caddy/Caddyfile"),
            )],
        },
    },
    Gateway {
        name: "Apache",
        words: &["apache", "httpd"],
        marks: &[],
        places: &["/var/log/apache2", "/var/log/httpd"],
        means: Means::Snippet {
            holds: "the token without its signature",
            files: &[(
                "/etc/apache2/conf-enabled/tokentrip.conf",
                include_str!("../../deploy/gateways/apache/tokentrip.conf"),
            )],
        },
    },
    Gateway {
        name: "nginx",
        words: &["nginx", "combined"],
        marks: &["\"body_bytes_sent\"", "\"time_iso8601\""],
        places: &["/var/log/nginx"],
        means: Means::Snippet {
            holds: "the token without its signature (with njs: claims and a keyed hash, deploy/gateways/nginx/njs.conf)",
            files: &[(
                "/etc/nginx/conf.d/tokentrip.conf, and `access_log /var/log/nginx/tokentrip.log tokentrip;` into the server",
                include_str!("../../deploy/gateways/nginx/unsigned.conf"),
            )],
        },
    },
];

impl Gateway {
    /// The gateway that wrote a log, as far as its format, its lines or its name tell.
    pub(crate) fn of(log: &str, format: &str, lines: &[&str]) -> Option<&'static Self> {
        if let Some(service) = services::of(log, format, lines) {
            return Some(service);
        }
        let line = lines.first().copied().unwrap_or_default();
        let log = log.to_ascii_lowercase();
        let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
        let by = |told: &dyn Fn(&Self) -> bool| ALL.iter().find(|one| told(one));
        // `combined` says least: Apache writes it too, and only the log's name or its writer's habits can tell.
        by(&|one| has(line, one.marks))
            .or_else(|| by(&|one| one.words.first().is_some_and(|word| format.contains(word))))
            .or_else(|| by(&|one| has(&log, one.words)))
            .or_else(|| by(&|one| format == "combined" && Some(one.name) == by_habits(lines)))
            .or_else(|| by(&|one| has(format, one.words)))
    }

    /// What to do, with the snippet where there is one.
    pub(crate) fn advice(&self) -> String {
        let snippet = self.snippet();
        match &self.means {
            Means::Snippet { holds, .. } => format!(
                "{}: its log holds {holds}, and no whole token, with\n\n{snippet}",
                self.name
            ),
            Means::Words(_) => format!("{}: {snippet}", self.name),
        }
    }

    /// The snippet, each file under the place it goes to, or what there is to do where there is none.
    pub(crate) fn snippet(&self) -> String {
        let files = match &self.means {
            Means::Snippet { files, .. } => files,
            Means::Words(words) => return format!("{words}\n"),
        };
        let mut text = String::new();
        for (place, file) in *files {
            // Writing to a String cannot fail.
            let _ = write!(text, "--- {place}\n{file}");
        }
        text
    }
}

/// What only one of the two servers that write the combined format ever writes: how it escapes a quote, what it says of
/// a client that asked nothing in time, statuses and clients of its own.
const HABITS: [(&str, &[&str]); 2] = [
    (
        "Apache",
        &["\\\"", "\"-\" 408 ", "(internal dummy connection)"],
    ),
    ("nginx", &["\\x22", "\" 499 ", "\" 444 ", "\"\" 400 "]),
];

/// The server whose habits more of the lines show.
fn by_habits(lines: &[&str]) -> Option<&'static str> {
    let shows = |marks: &[&str]| {
        let shown = lines
            .iter()
            .filter(|line| marks.iter().any(|mark| line.contains(mark)));
        shown.count()
    };
    let shown = HABITS.iter().map(|(name, marks)| (shows(marks), *name));
    let most = shown.max_by_key(|(count, _)| *count);
    most.filter(|(count, _)| *count > 0).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_known_by_its_lines_its_format_and_its_name_in_this_order() {
        let name = |log, format, line| Gateway::of(log, format, &[line]).map(|one| one.name);
        let caddy = r#"{"logger":"http.log.access.log0","request":{}}"#;
        assert_eq!(name("nginx/access.log", "json", caddy), Some("Caddy"));
        assert_eq!(name("a.log", "haproxy_http", ""), Some("HAProxy"));
        assert_eq!(
            name("/var/log/apache2/access.log", "combined", ""),
            Some("Apache")
        );
        assert_eq!(name("access.log", "combined", ""), Some("nginx"));
        let escaped = r#"192.0.2.1 - - [04/May/2026:10:11:12 +0000] "GET /\" HTTP/1.1" 404 5"#;
        assert_eq!(name("access.log", "combined", escaped), Some("Apache"));
        assert_eq!(
            name("/var/log/nginx/access.log", "combined", escaped),
            Some("nginx")
        );
        assert_eq!(name("app.log", "json", "{}"), None);
    }

    #[test]
    fn no_snippet_writes_a_raw_token() {
        for gateway in ALL {
            let snippet = gateway.snippet();
            for raw in [
                "\"$http_authorization\"",
                "%{Authorization}i",
                "Authorization: keep",
                "%REQ(AUTHORIZATION)%",
                "hdr(Authorization)",
            ] {
                assert!(!snippet.contains(raw), "{} holds {raw}", gateway.name);
            }
        }
    }
}
