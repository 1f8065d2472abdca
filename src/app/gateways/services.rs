//! Services and products that take no snippet of ours: what to do about the tokens in their logs.
//!
//! In: the name of a log, of its format, and its first lines. Out: the [`Gateway`] with words.
//! Does not know: the products there is a snippet for.
//! Source: the documentation of each, which its words go by.

use super::{Gateway, Means};

/// Behind these stands a gateway or service of one's own, whose log can show tokens.
const BEHIND_IT: Means = Means::Words(
    "it logs no header and no claim; the gateway or service behind it can: follow its log, too (deploy/gateways), \
     or have it ask /v1/check",
);

/// What identity providers tell belongs to the uses that gateways log.
const ISSUES: Means = Means::Words(
    "it tells who logged in, refreshed and logged out; what is done with its tokens is in the gateway's log: follow both",
);

/// Where the whole token is all that can be logged.
const WHOLE: Means = Means::Words(
    "it can log the header Authorization as a field of its own, so the whole token: keep that log as secret as the \
     tokens, and run `tokentrip scrub` over what was rotated",
);

const fn service(name: &'static str, means: Means) -> Gateway {
    Gateway {
        name,
        words: &[],
        marks: &[],
        places: &[],
        means,
    }
}

/// Each by the name of its format.
static BY_FORMAT: &[(&str, Gateway)] = &[
    (
        "kong",
        service(
            "Kong",
            Means::Words(
                "its plugin file-log takes `custom_fields_by_lua`, which can log claims instead of the token",
            ),
        ),
    ),
    (
        "nginx_proxy_manager",
        service(
            "nginx Proxy Manager",
            Means::Words(
                "it is nginx: deploy/gateways/nginx/unsigned.conf goes to /data/nginx/custom/http_top.conf, and its `access_log` to \
         server_proxy.conf beside it",
            ),
        ),
    ),
    (
        "aws_alb",
        service("AWS Application Load Balancer", BEHIND_IT),
    ),
    (
        "aws_api_gateway",
        service(
            "AWS API Gateway",
            Means::Words(
                "its access log format takes the claims that its authorizer verified, as \"sub\":\"$context.authorizer.claims.sub\" and \
         \"jti\":\"$context.authorizer.claims.jti\" (of HTTP APIs: $context.authorizer.jwt.claims…)",
            ),
        ),
    ),
    ("aws_cloudtrail", service("AWS CloudTrail", BEHIND_IT)),
    ("cloudflare", service("Cloudflare", BEHIND_IT)),
    (
        "gcp_load_balancer",
        service("Google Cloud load balancer", BEHIND_IT),
    ),
    (
        "azure_application_gateway",
        service("Azure Application Gateway", BEHIND_IT),
    ),
    ("azure_front_door", service("Azure Front Door", BEHIND_IT)),
    ("iis_event", service("IIS", WHOLE)),
    ("w3c", service("IIS", WHOLE)),
    ("zoraxy", service("Zoraxy", BEHIND_IT)),
    (
        "kubernetes_audit",
        service(
            "Kubernetes",
            Means::Words(
                "its audit events name the token of a service account by its id since version 1.30 (ServiceAccountTokenJTI)",
            ),
        ),
    ),
    ("keycloak", service("Keycloak", ISSUES)),
    ("auth0", service("Auth0", ISSUES)),
    ("okta", service("Okta", ISSUES)),
    ("entra", service("Microsoft Entra ID", ISSUES)),
    (
        "error_log",
        service(
            "a server's error log",
            Means::Words(
                "it tells what went wrong, of some requests; all of them are in the access log: follow that",
            ),
        ),
    ),
];

/// Those that write the format of somebody else: what only their lines or the names of their logs hold.
static BY_MARK: &[(&str, &str, Gateway)] = &[
    (
        "w3c",
        "\t", // IIS has spaces between fields
        service("Amazon CloudFront", BEHIND_IT),
    ),
    (
        "combined",
        "] [] ",
        service(
            "ingress-nginx",
            Means::Words(
                "its ConfigMap takes `log-format-upstream`: the fields of deploy/gateways/nginx/unsigned.conf, and its `map` as \
         `http-snippet`",
            ),
        ),
    ),
    ("combined", "litespeed", service("LiteSpeed", WHOLE)),
    ("combined", "/lsws/", service("LiteSpeed", WHOLE)),
];

/// The service that wrote a log.
pub(super) fn of(log: &str, format: &str, lines: &[&str]) -> Option<&'static Gateway> {
    let shows = |mark: &str| log.contains(mark) || lines.iter().any(|line| line.contains(mark));
    let is_of_mark = |(known, mark, _): &&(&str, &str, Gateway)| *known == format && shows(mark);
    if let Some((.., service)) = BY_MARK.iter().find(is_of_mark) {
        return Some(service);
    }
    let by_format = BY_FORMAT.iter().find(|(known, _)| *known == format);
    by_format.map(|(_, service)| service)
}
