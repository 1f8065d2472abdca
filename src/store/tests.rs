use super::*;
use crate::domain::action::{Action, Alert, Delivery, GATEWAY, Outcome, Standing, Step};
use crate::domain::finding::Level;
use crate::domain::ids::{ActionId, IncidentId};
use crate::domain::incident::{Incident, State, Target};
use tempfile::TempDir;

mod forget;
mod once;

/// Something between a header and a payload that no stored text may show.
const RAW: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";

fn at(s: i64) -> Time {
    Time::from_ms(1_777_889_520_000 + s * 1000).unwrap()
}

fn incident() -> Incident {
    serde_json::from_str(include_str!(
        "../../tests/fixtures/sinks/webhook/incident.json"
    ))
    .unwrap()
}

fn action(incident: &Incident, provider: &str, standing: Standing) -> Delivery {
    let target = incident.steps.revoke.targets[0].clone();
    Delivery::Action(Action {
        id: Action::id_of(incident.id, Step::Revoke, &target, provider),
        incident: incident.id,
        step: Step::Revoke,
        target,
        provider: provider.into(),
        calls: Vec::new(),
        idempotent: true,
        standing,
        denied_until: (provider == GATEWAY).then(|| at(3600)),
        undoable: false,
        before: Vec::new(),
    })
}

fn alert(incident: &Incident) -> Delivery {
    Delivery::Alert(Alert {
        id: Alert::id_of(incident.id, "incident.opened", "hook"),
        incident: incident.id,
        sink: "hook".into(),
        body: "{}".to_owned(),
    })
}

fn mail(incident: &Incident) -> Delivery {
    let Delivery::Action(action) = action(incident, "mail", Standing::Go) else {
        unreachable!("an action was made");
    };
    Delivery::Action(Action {
        idempotent: false,
        ..action
    })
}

struct Fixture {
    folder: TempDir,
    store: Store,
}

fn fixture() -> Fixture {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("tokentrip.db")).unwrap();
    Fixture { folder, store }
}

impl Fixture {
    /// As after a crash: what was committed is there, and nothing else.
    fn reopen(self) -> Self {
        let Self { folder, store } = self;
        drop(store);
        let store = Store::open(&folder.path().join("tokentrip.db")).unwrap();
        Self { folder, store }
    }

    fn record(&self, incident: &Incident, deliveries: &[Delivery]) -> Recorded {
        let batch = Batch {
            incidents: std::slice::from_ref(incident),
            deliveries,
            ..Batch::default()
        };
        self.store.record(batch, at(0)).unwrap()
    }

    fn lease(&self, s: i64) -> Vec<ActionId> {
        let leased = self
            .store
            .lease(10, at(s + 60), at(s), &mut |_| true)
            .unwrap();
        leased.iter().map(|leased| leased.delivery.id()).collect()
    }

    fn shown(&self, id: IncidentId) -> Incident {
        self.store.incident(id).unwrap().unwrap()
    }
}

#[test]
fn a_replay_of_the_same_batch_changes_nothing() {
    let fixture = fixture();
    let incident = incident();
    let deliveries = [
        action(&incident, GATEWAY, Standing::Go),
        action(&incident, "idp", Standing::Go),
        alert(&incident),
    ];
    let first = fixture.record(&incident, &deliveries);
    assert_eq!((first.incidents.len(), first.deliveries.len()), (1, 3));
    let state = |state| {
        fixture
            .store
            .set_state(incident.id, state, Vec::new(), "carol", at(1))
            .unwrap();
    };
    state(State::Resolved);
    let mut older = incident.clone();
    older.updated = older.opened;
    older.level = Level::Low;
    assert_eq!(fixture.record(&older, &deliveries), Recorded::default());
    let shown = fixture.shown(incident.id);
    assert_eq!(
        (shown.level, shown.state),
        (Level::Critical, State::Resolved)
    );
    assert_eq!(shown.actions.len(), 2);
}

#[test]
fn what_was_committed_before_a_crash_is_delivered_once_after_it_and_containment_comes_first() {
    let incident = incident();
    let deliveries = [
        alert(&incident),
        action(&incident, "idp", Standing::Go),
        action(&incident, GATEWAY, Standing::Go),
    ];
    let ids = deliveries.each_ref().map(Delivery::id);
    let fixture = fixture();
    fixture.record(&incident, &deliveries);
    let fixture = fixture.reopen();
    assert_eq!(fixture.store.denylist(at(1)).unwrap().len(), 1);
    assert_eq!(fixture.lease(1), [ids[2], ids[1], ids[0]]);
    assert_eq!(fixture.lease(2), [], "a lease is for one worker");
    let settle = |delivery| {
        fixture
            .store
            .settle(delivery, &Outcome::Done, Settled::Done, None, at(3))
    };
    deliveries.iter().for_each(|d| settle(d).unwrap());
    let fixture = fixture.reopen();
    assert_eq!(fixture.lease(1000), []);
    assert_eq!(fixture.record(&incident, &deliveries), Recorded::default());
    assert_eq!(fixture.lease(2000), []);
}

#[test]
fn a_worker_that_died_repeats_what_may_be_repeated_and_gives_up_what_may_not() {
    let incident = incident();
    let fixture = fixture();
    let (call, mail) = (action(&incident, "idp", Standing::Go), mail(&incident));
    fixture.record(&incident, &[call.clone(), mail]);
    assert_eq!(fixture.lease(1).len(), 2);
    let fixture = fixture.reopen();
    assert_eq!(fixture.lease(61), [call.id()]);
    let depth = fixture.store.depth().unwrap();
    assert_eq!((depth.open, depth.dead), (1, 1));
}

#[test]
fn what_waits_goes_ahead_on_a_persons_word_and_can_be_taken_back() {
    let fixture = fixture();
    let incident = incident();
    let waiting = [
        action(&incident, GATEWAY, Standing::Wait),
        action(&incident, "idp", Standing::Wait),
    ];
    fixture.record(&incident, &waiting);
    assert_eq!(fixture.lease(1), []);
    assert_eq!(fixture.store.denylist(at(1)).unwrap(), []);
    let released = fixture.store.approve(incident.id, "carol", at(2)).unwrap();
    assert_eq!(released.len(), 2);
    assert!(
        released
            .iter()
            .all(|action| action.standing == Standing::Go)
    );
    assert_eq!(fixture.store.denylist(at(2)).unwrap().len(), 1);
    let shown = fixture.shown(incident.id);
    assert_eq!(shown.state, State::Contained);
    assert!(shown.actions.iter().all(|action| action.by == "carol"));
    let undone = fixture.store.undo(incident.id, "dave", at(3)).unwrap();
    assert_eq!(undone.targets, [incident.steps.revoke.targets[0].clone()]);
    assert_eq!(undone.cancelled, 2);
    assert_eq!(fixture.store.denylist(at(3)).unwrap(), []);
    assert_eq!(fixture.lease(4), []);
}

#[test]
fn what_another_incident_denies_too_stays_denied() {
    let fixture = fixture();
    let one = incident();
    let mut two = one.clone();
    two.id = IncidentId::new(2);
    for incident in [&one, &two] {
        fixture.record(incident, &[action(incident, GATEWAY, Standing::Go)]);
    }
    let undone = |id| fixture.store.undo(id, "dave", at(3)).unwrap().targets;
    assert_eq!(undone(one.id), []);
    assert_eq!(fixture.store.denylist(at(3)).unwrap().len(), 1);
    assert_eq!(undone(two.id).len(), 1);
}

#[test]
fn a_later_plan_may_release_and_never_holds_back() {
    let fixture = fixture();
    let incident = incident();
    let planned = |standing| fixture.record(&incident, &[action(&incident, "idp", standing)]);
    assert_eq!(planned(Standing::DryRun).deliveries.len(), 1);
    assert_eq!(planned(Standing::Wait).deliveries.len(), 0);
    assert_eq!(fixture.shown(incident.id).actions[0].outcome, "dry_run");
    assert_eq!(planned(Standing::Go).deliveries.len(), 1);
    assert_eq!(planned(Standing::DryRun).deliveries.len(), 0);
    assert_eq!(fixture.lease(1).len(), 1);
}

#[test]
fn a_pause_holds_actions_and_lets_alerts_through() {
    let fixture = fixture();
    let incident = incident();
    let deliveries = [action(&incident, "idp", Standing::Go), alert(&incident)];
    fixture.record(&incident, &deliveries);
    fixture.store.pause(true, "carol", at(0)).unwrap();
    assert_eq!(fixture.lease(1), [deliveries[1].id()]);
    fixture.store.pause(false, "carol", at(2)).unwrap();
    assert_eq!(fixture.lease(2), [deliveries[0].id()]);
}

#[test]
fn pages_are_newest_first_and_filters_choose() {
    let fixture = fixture();
    for number in 0..5_u8 {
        let mut incident = incident();
        incident.id = IncidentId::new(number.into());
        incident.opened = at(i64::from(number / 2));
        incident.level = Level::ALL[usize::from(number)];
        incident.subject = Some(format!("u{}", number % 2).into());
        fixture.record(&incident, &[]);
    }
    let mut query = Query {
        limit: 2,
        ..Query::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = fixture.store.incidents(&query).unwrap();
        seen.extend(page.incidents.iter().map(|incident| incident.id.get()));
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [4, 3, 2, 1, 0]);
    let count = |query| fixture.store.incidents(&query).unwrap().incidents.len();
    let all = Query::default;
    assert_eq!(
        count(Query {
            level: Some(Level::High),
            ..all()
        }),
        2
    );
    assert_eq!(
        count(Query {
            subject: Some("u1".to_owned()),
            ..all()
        }),
        2
    );
    assert_eq!(
        count(Query {
            state: Some(State::Resolved),
            ..all()
        }),
        0
    );
    assert_eq!(
        count(Query {
            since: Some(at(9999)),
            ..all()
        }),
        0
    );
    let broken = Query {
        cursor: Some("1' OR 1".to_owned()),
        ..all()
    };
    assert!(matches!(
        fixture.store.incidents(&broken),
        Err(StoreError::Cursor)
    ));
}

#[test]
fn the_audit_chain_shows_a_change_and_outlives_forgetting() {
    let fixture = fixture();
    let incident = incident();
    fixture.record(&incident, &[action(&incident, "idp", Standing::Go)]);
    fixture.lease(1);
    for (s, by) in [(2, "carol"), (3, "dave"), (4, "erin")] {
        fixture
            .store
            .set_state(incident.id, State::Resolved, Vec::new(), by, at(s))
            .unwrap();
    }
    let verify = || fixture.store.audit_verify().unwrap();
    let whole = verify();
    assert_eq!((whole.rows, whole.erased, whole.broken_at), (5, 0, None));
    fixture.store.prune(at(3), at(3)).unwrap();
    let pruned = verify();
    assert_eq!((pruned.rows, pruned.erased, pruned.broken_at), (5, 3, None));
    assert_eq!(pruned.head, whole.head);
    let tamper = |sql: &str| {
        let path = fixture.folder.path().join("tokentrip.db");
        Connection::open(path).unwrap().execute(sql, []).unwrap();
        verify().broken_at
    };
    let changed = tamper("UPDATE audit SET text = replace(text, 'dave', 'mallory') WHERE seq = 4");
    assert_eq!(changed, Some(4));
    assert_eq!(tamper("DELETE FROM audit WHERE seq = 2"), Some(3));
}

#[test]
fn no_text_in_the_database_shows_a_token_that_the_log_smuggled_in() {
    let fixture = fixture();
    let mut incident = incident();
    incident.title = format!("GET /{RAW}");
    incident.subject = Some(RAW.into());
    fixture.record(&incident, &[]);
    let why = Outcome::Failed {
        why: RAW.to_owned(),
    };
    let call = action(&incident, "idp", Standing::Go);
    fixture.record(&incident, std::slice::from_ref(&call));
    fixture.lease(1);
    fixture
        .store
        .settle(&call, &why, Settled::Dead, None, at(2))
        .unwrap();
    let fixture = fixture.reopen();
    for file in std::fs::read_dir(fixture.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(memchr::memmem::find(&bytes, b"eyJ").is_none());
    }
}

#[test]
fn a_damaged_a_newer_and_an_unreachable_file_each_say_what_to_do() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokentrip.db");
    let error = |path: &Path| Store::open(path).unwrap_err().to_string();
    std::fs::write(
        &path,
        "this is no database, and it is long enough to tell".repeat(40),
    )
    .unwrap();
    assert!(error(&path).contains("move it away"), "{}", error(&path));
    std::fs::remove_file(&path).unwrap();
    drop(Store::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(
        error(&path).contains("schema version 99"),
        "{}",
        error(&path)
    );
    let nowhere = error(&folder.path().join("no/such/folder/tokentrip.db"));
    assert!(nowhere.contains("state folder"), "{nowhere}");
}

#[test]
fn a_subject_target_reads_back_with_its_not_before() {
    let fixture = fixture();
    let incident = incident();
    let mut denial = action(&incident, GATEWAY, Standing::Go);
    if let Delivery::Action(action) = &mut denial {
        action.target = incident.steps.revoke.targets[2].clone();
    }
    fixture.record(&incident, &[denial]);
    let loaded = fixture.store.denylist(at(0)).unwrap();
    assert!(
        matches!(&loaded[..], [(Target::Subject { not_before_s: 1_777_889_520, .. }, until)]
        if *until == at(3600))
    );
    assert_eq!(fixture.store.denylist(at(3600)).unwrap(), []);
}
