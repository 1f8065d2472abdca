//! A person is forgotten, and everybody else is not.

use super::*;
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

/// A signed event as receivers poll it.
fn set(sub: &str) -> String {
    let user = json!({"format": "iss_sub", "sub": sub});
    let claims = json!({"sub_id": {"format": "complex", "user": user}}).to_string();
    format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()))
}

#[test]
fn a_person_who_is_forgotten_is_nowhere_in_the_file_and_the_chain_holds() {
    let fixture = fixture();
    let own = incident();
    let sub = own.subject.clone().unwrap();
    let mut others = incident();
    others.id = IncidentId::new(9);
    others.subject = Some("zoe-of-elsewhere".into());
    others.steps.breach.other_subjects = vec!["bob".into(), sub.clone()];
    others.steps.password.subject = others.subject.clone();
    others.steps.password.advice = String::new();
    others.title = "something else".to_owned();
    others.next = String::new();
    let subject = Delivery::Action(Action {
        id: ActionId::new(77),
        incident: own.id,
        step: Step::Revoke,
        target: Target::Subject {
            iss: "https://idp.example.com/".into(),
            sub: sub.clone(),
            not_before_s: 1,
        },
        provider: "idp".into(),
        calls: vec![format!("revoke subject {sub}")],
        idempotent: true,
        undoable: false,
        before: Vec::new(),
        standing: Standing::Go,
        denied_until: None,
    });
    fixture.record(&own, &[action(&own, GATEWAY, Standing::Go), subject]);
    fixture.record(&others, &[]);
    for (jti, sub) in [("1", &*sub), ("2", "bob")] {
        fixture.store.offer("siem", jti, &set(sub), at(1)).unwrap();
    }
    let forgotten = fixture.store.forget(&sub, "ann", at(10)).unwrap();
    assert_eq!((forgotten.incidents, forgotten.mentions), (1, 1));
    assert!(forgotten.audit >= 2, "{forgotten:?}");
    assert!(fixture.store.incident(own.id).unwrap().is_none());
    assert_eq!(forgotten.events, 1);
    let (events, _) = fixture.store.poll("siem", &[], 9).unwrap();
    assert_eq!(events, [("2".to_owned(), set("bob"))]);
    let left = fixture.shown(others.id);
    let named: Vec<&str> = left
        .steps
        .breach
        .other_subjects
        .iter()
        .map(AsRef::as_ref)
        .collect();
    assert_eq!(named, ["bob", "[forgotten]"]);
    let report = fixture.store.audit_verify().unwrap();
    assert_eq!(report.broken_at, None);
    assert_eq!(report.erased as usize, forgotten.audit);
    // A stolen token stays out, though its holder is forgotten: the entry names the token.
    assert_eq!(fixture.store.denylist(at(10)).unwrap().len(), 1);
    let Fixture { folder, store } = fixture;
    drop(store);
    for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
        let bytes = std::fs::read(file.path()).unwrap();
        let signed = set(&sub);
        let holds = |text: &str| {
            bytes
                .windows(text.len())
                .any(|some| some == text.as_bytes())
        };
        let named = holds(&sub) || holds(&signed);
        assert!(!named, "{} still names them", file.path().display());
    }
}
