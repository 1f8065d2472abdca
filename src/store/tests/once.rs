//! What is planned twice, taken back or waited for happens once.

use super::*;

/// A planned call of a step on alice.
fn call(incident: &Incident, step: Step, provider: &str, undoable: bool) -> Delivery {
    let target = Target::Subject {
        iss: "https://idp.example.com/".into(),
        sub: "alice".into(),
        not_before_s: 0,
    };
    let Delivery::Action(action) = action(incident, provider, Standing::Go) else {
        unreachable!("an action");
    };
    Delivery::Action(Action {
        id: Action::id_of(incident.id, step, &target, provider),
        step,
        target,
        idempotent: step != Step::Ask,
        undoable,
        ..action
    })
}

fn recorded(store: &Store, deliveries: &[Delivery], s: i64) {
    let batch = Batch {
        deliveries,
        ..Batch::default()
    };
    store.record(batch, at(s)).unwrap();
}

#[test]
fn a_person_gets_one_mail_in_a_day_whoever_would_write_and_for_whatever_incident() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let first = incident();
    let second = Incident {
        id: IncidentId::new(99),
        ..incident()
    };
    let mails = [
        call(&first, Step::Ask, "mail", false),
        call(&first, Step::Ask, "okta", false),
        call(&second, Step::Ask, "mail", false),
    ];
    recorded(&store, &mails, 0);
    let leased = store.lease(9, at(60), at(1), &mut |_| true).unwrap();
    assert_eq!(leased.len(), 1);
    store
        .settle(
            &leased[0].delivery,
            &Outcome::Done,
            Settled::Done,
            None,
            at(2),
        )
        .unwrap();
    assert_eq!(store.depth().unwrap().open, 0, "the others are put aside");
    let third = Incident {
        id: IncidentId::new(100),
        ..incident()
    };
    recorded(&store, &[call(&third, Step::Ask, "mail", false)], 86_000);
    assert_eq!(
        store
            .lease(9, at(86_100), at(86_001), &mut |_| true)
            .unwrap()
            .len(),
        0
    );
    let fourth = Incident {
        id: IncidentId::new(101),
        ..incident()
    };
    recorded(&store, &[call(&fourth, Step::Ask, "mail", false)], 87_000);
    assert_eq!(
        store
            .lease(9, at(87_100), at(87_001), &mut |_| true)
            .unwrap()
            .len(),
        1
    );
    // The program dies in the middle of that one: nobody knows whether it was sent, so it counts.
    let fifth = Incident {
        id: IncidentId::new(102),
        ..incident()
    };
    recorded(&store, &[call(&fifth, Step::Ask, "okta", false)], 87_200);
    assert_eq!(
        store
            .lease(9, at(87_400), at(87_300), &mut |_| true)
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn what_was_done_and_can_be_taken_back_is_taken_back_by_a_call_of_its_own_once() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let incident = incident();
    let calls = [
        call(&incident, Step::Block, "edge", true),
        call(&incident, Step::Revoke, "idp", false),
    ];
    recorded(&store, &calls, 0);
    for leased in store.lease(9, at(60), at(1), &mut |_| true).unwrap() {
        store
            .settle(&leased.delivery, &Outcome::Done, Settled::Done, None, at(2))
            .unwrap();
    }
    assert_eq!(store.undo(incident.id, "ann", at(3)).unwrap().reversed, 1);
    assert_eq!(store.undo(incident.id, "ann", at(4)).unwrap().reversed, 0);
    let leased = store.lease(9, at(60), at(5), &mut |_| true).unwrap();
    let [
        Leased {
            delivery: Delivery::Action(undoing),
            ..
        },
    ] = &leased[..]
    else {
        panic!("{leased:?}");
    };
    assert_eq!((undoing.step, &*undoing.provider), (Step::Undo, "edge"));
    assert_eq!(store.audit_verify().unwrap().broken_at, None);
}

#[test]
fn events_wait_until_their_own_receiver_acknowledges_them() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    for (stream, jti, s) in [("a", "1", 0), ("a", "2", 1), ("a", "1", 2), ("b", "3", 3)] {
        store.offer(stream, jti, "set", at(s)).unwrap();
    }
    let poll = |stream, ack: &[&str], limit| {
        let ack: Vec<_> = ack.iter().map(|jti| (*jti).to_owned()).collect();
        let (sets, more) = store.poll(stream, &ack, limit).unwrap();
        (
            sets.into_iter().map(|(jti, _)| jti).collect::<Vec<_>>(),
            more,
        )
    };
    assert_eq!(poll("a", &[], 1), (vec!["1".to_owned()], true));
    assert_eq!(poll("a", &["1", "3"], 9), (vec!["2".to_owned()], false));
    assert_eq!(poll("b", &[], 9), (vec!["3".to_owned()], false));
    assert_eq!(poll("a", &["2"], 0), (Vec::new(), false));
}
