//! Kubernetes' audit log: who asked the API server for what, with the id of the service account token.
//!
//! In: a line. Out: [`AccessEvent`], the verb as the method that it is sent with.
//! Does not know: tokens. The API server logs none; of a service account's it names the `jti`, since version 1.30. A
//! user's name alone is no token: certificates and all tokens of theirs have the same.
//! Source: Kubernetes, "Auditing", <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>; `audit.k8s.io/v1`
//! (`sourceIPs`: all but the last can be set by the client); KEP-4193, "Bound service account token improvements".

use super::json::{Dialect, open_dialect};
use super::names::Slot;
use super::{Format, LineFormat};
use crate::domain::event::{AccessEvent, Carrier, CarrierKind};
use crate::domain::line::SkipReason;
use crate::domain::token::Claim;
use memchr::memmem::Finder;
use std::sync::{Arc, LazyLock};

pub(super) static FORMAT: Format = Format {
    name: "kubernetes_audit",
    aliases: &["k8s_audit"],
    about: "audit events of the Kubernetes API server: requestURI, verb, sourceIPs",
    open: |names| Arc::new(Audit(open_dialect(names, &DIALECT))),
};

static DIALECT: Dialect = Dialect {
    marks: &[&[r#""auditID""#, r#""requestURI""#]],
    names: &[
        ("requestReceivedTimestamp", Slot::Time, 3),
        ("timestamp", Slot::Other, 0),
        ("verb", Slot::Method, 3),
        ("requestURI", Slot::Target, 3),
        ("sourceIPs", Slot::Chain, 3),
        ("userAgent", Slot::UserAgent, 3),
        ("responseStatus.code", Slot::Status, 3),
        ("responseStatus.status", Slot::Other, 0),
        ("auditID", Slot::RequestId, 3),
        ("user.username", Slot::Claim(Claim::Sub), 2),
        (
            "user.extra.authentication.kubernetes.io/credential-id",
            Slot::IssuedId,
            2,
        ),
    ],
    kinds: &[],
    tells_failure: false,
};

/// What the API server calls its verbs, and the method that each is sent with.
/// Source: Kubernetes, "Determine the request verb".
const METHODS: [(&str, &str); 8] = [
    ("get", "GET"),
    ("list", "GET"),
    ("watch", "GET"),
    ("create", "POST"),
    ("update", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("deletecollection", "DELETE"),
];

/// How the stages are written that end a request.
static LAST_STAGES: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [r#""stage":"ResponseComplete""#, r#""stage":"Panic""#].map(Finder::new));

struct Audit(Arc<dyn LineFormat>);

impl LineFormat for Audit {
    fn parse<'a>(&self, line: &'a str, event: &mut AccessEvent<'a>) -> Result<(), SkipReason> {
        self.0.parse(line, event)?;
        // A request is logged at several stages, and is over at one of these.
        let is_over = |stage: &Finder<'_>| stage.find(line.as_bytes()).is_some();
        if !LAST_STAGES.iter().any(is_over) {
            return Err(SkipReason::Comment);
        }
        let is_jti = |carrier: &Carrier<'_>| carrier.kind == CarrierKind::Claim(Claim::Jti);
        if !event.carriers.iter().any(is_jti) {
            let told = |carrier: &Carrier<'_>| matches!(carrier.kind, CarrierKind::Claim(_));
            let carriers = std::mem::take(&mut event.carriers).into_iter();
            event
                .carriers
                .extend(carriers.filter(|carrier| !told(carrier)));
        }
        let verb = event.method.as_deref();
        let method = METHODS.iter().find(|(name, _)| verb == Some(*name));
        if let Some((_, method)) = method {
            event.method = Some((*method).into());
        }
        Ok(())
    }
}
