//! Who may decide about an incident.

use super::*;
use crate::domain::action::Alert;

const INCIDENT: &str = "i-00000000000000000002";

async fn post(daemon: &Daemon, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let mut request = daemon.client.post(format!("{}{path}", daemon.base));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn only_a_named_approver_decides_and_the_audit_says_who() {
    let approvers = [("ann", "secret-of-ann"), ("ben", "secret-of-ben")];
    let approvers = approvers.map(|(name, secret)| (name.to_owned(), secret.to_owned()));
    let options = Options {
        approvers: approvers.into(),
        ..anywhere()
    };
    let daemon = start(options).await;
    let undo = format!("/v1/incidents/{INCIDENT}/undo");
    let ben = ("authorization", "Bearer secret-of-ben");
    for (fields, status) in [
        (&[][..], 401),
        (&[("authorization", "Bearer secret-of-cid")][..], 401),
        (&[("authorization", "Bearer ")][..], 401),
        (&[ben, ("origin", "https://evil.example")][..], 403),
        (&[ben, ("sec-fetch-site", "cross-site")][..], 403),
    ] {
        let (found, body) = post(&daemon, &undo, fields).await;
        assert_eq!(found, status, "{fields:?}: {body}");
    }
    let missing = "/v1/incidents/i-00000000000000000009/undo";
    assert_eq!(post(&daemon, missing, &[ben]).await.0, 404);
    assert_eq!(
        daemon.get(&undo, &[ben]).await.0,
        405,
        "a link decides nothing"
    );

    let before = daemon.parts.store.changes_of_others().unwrap();
    let (status, body) = post(&daemon, &undo, &[ben]).await;
    assert_eq!(
        (status, body.as_str()),
        (
            200,
            "{\"cancelled\":0,\"no_longer_denied\":[],\"reversed\":0}\n"
        )
    );
    assert_ne!(daemon.parts.store.changes_of_others().unwrap(), before);
    let approve = format!("/v1/incidents/{INCIDENT}/approve");
    let (status, body) = post(&daemon, &approve, &[ben]).await;
    assert_eq!((status, body.as_str()), (200, "{\"goes_ahead\":[]}\n"));
    let audit = daemon.parts.store.audit_tail(5).unwrap();
    let undone = audit
        .iter()
        .find(|(_, text)| text.contains("undone"))
        .unwrap();
    assert!(undone.1.contains("\"by\":\"ben\""), "{}", undone.1);
}

#[tokio::test]
async fn nobody_decides_where_no_approver_is_named() {
    let daemon = start(anywhere()).await;
    let undo = format!("/v1/incidents/{INCIDENT}/undo");
    for fields in [&[][..], &[("authorization", "Bearer ")][..]] {
        assert_eq!(post(&daemon, &undo, fields).await.0, 401);
    }
}

#[tokio::test]
async fn who_closes_an_incident_says_how_and_everybody_hears_of_it() {
    let options = Options {
        approvers: vec![("ann".to_owned(), "secret-of-ann".to_owned())],
        ..anywhere()
    };
    let daemon = start(options).await;
    let resolve = format!("{}/v1/incidents/{INCIDENT}/resolve", daemon.base);
    let farewell = |incident: &Incident| {
        let body = incident.state.name().to_owned();
        vec![Alert {
            id: Alert::id_of(incident.id, &body, "sink"),
            incident: incident.id,
            sink: "sink".into(),
            body,
        }]
    };
    daemon.parts.in_force.set(Settled {
        farewell: Arc::new(farewell),
        ..Settled::default()
    });
    let send = async |body: &'static str| {
        let request = daemon.client.post(&resolve).body(body);
        let request = request.bearer_auth("secret-of-ann");
        request.send().await.unwrap().status().as_u16()
    };
    let state = || {
        let incident = daemon.parts.store.incident(INCIDENT.parse().unwrap());
        incident.unwrap().unwrap().state.name()
    };
    for wrong in [
        "{",
        "{\"false_positives\":true}",
        "true",
        "{\"false_positive\":1}",
    ] {
        assert_eq!(send(wrong).await, 400, "{wrong}");
    }
    assert_eq!(send(&*"x".repeat(2000).leak()).await, 413);
    assert_eq!(state(), "open");
    let before = daemon.parts.store.changes_of_others().unwrap();
    assert_eq!(send("").await, 200);
    assert_eq!(state(), "resolved");
    assert_ne!(daemon.parts.store.changes_of_others().unwrap(), before);
    assert_eq!(send("{\"false_positive\":true}").await, 200);
    assert_eq!(state(), "false_positive");
    let audit = daemon.parts.store.audit_tail(9).unwrap();
    let said = |what: &str| audit.iter().any(|(_, text)| text.contains(what));
    assert!(said("\"by\":\"ann\"") && said("false_positive"));
    let told = daemon.parts.store.undelivered().unwrap();
    assert!(told.iter().any(|row| row.kind == "alert"), "{told:?}");
    assert_eq!(daemon.get_json("/v1/status").await.1["approvers"], true);
}
