use super::*;
use crate::domain::action::Outcome;
use crate::domain::ids::{IncidentId, SessionId, TokenId};
use crate::domain::token::Provenance;
use crate::outbound::Attempt;
use crate::response::breaker::Budget;
use std::collections::BTreeMap;

mod providers;

/// The fixture's suspect was last seen at 10:12:00; the plan is made five seconds later.
const NOW_MS: i64 = 1_777_889_525_000;

/// A provider that ends sessions and forces passwords; a plan never makes a call.
#[derive(Debug)]
struct Desk(Arc<str>);

impl Provider for Desk {
    fn name(&self) -> &Arc<str> {
        &self.0
    }
    fn answers_for(&self, issuer: &str) -> bool {
        issuer == "https://idp.example.com/realms/shop"
    }
    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>> {
        let known = matches!(step, Step::Revoke | Step::Password);
        let known = known && matches!(target, Target::Sid { .. } | Target::Subject { .. });
        known.then(|| vec![format!("{} {target}", step.name())])
    }
    fn carry_out<'a>(&'a self, _: &'a Action) -> Attempt<'a> {
        Box::pin(async { Outcome::Done })
    }
}

struct Case {
    incident: Incident,
    policy: Policy,
    situation: Situation<'static>,
    breaker: Breaker,
}

fn enforce() -> Case {
    let now = Time::from_ms(NOW_MS).unwrap();
    Case {
        incident: serde_json::from_str(include_str!(
            "../../../tests/fixtures/sinks/webhook/incident.json"
        ))
        .unwrap(),
        policy: Policy {
            deny: Mode::Enforce,
            revoke: Mode::Enforce,
            password: Mode::Enforce,
            ask: Mode::Enforce,
            block: Mode::Enforce,
            rules: BTreeMap::new(),
            act_on_accepted: false,
            budget: Budget {
                subjects_per_minute_max: 5,
                subjects_per_day_max: 100,
                active_subjects_share_per_hour_max: 0.01,
            },
            risk: Mode::Approve,
            mfa: Mode::Approve,
            protected_subjects: Vec::new(),
            home: Vec::new(),
            session_s_max: 30 * 86_400,
        },
        situation: Situation {
            now,
            paused: false,
            subject_since: Some(now.plus_ms(-90 * 86_400_000)),
            active_subjects: 1000,
            drill: None,
            doubt: None,
        },
        breaker: Breaker::default(),
    }
}

impl Case {
    fn plan(&mut self) -> Plan {
        let providers: [Arc<dyn Provider>; 1] = [Arc::new(Desk("idp".into()))];
        plan(
            &self.incident,
            &self.policy,
            &self.situation,
            &providers,
            &mut self.breaker,
        )
    }

    /// One line an action, as `go gateway jti j-1`, and the gates that spoke.
    fn shown(&mut self) -> (Vec<String>, Vec<String>) {
        let plan = self.plan();
        let action = |action: &Action| {
            let standing = match action.standing {
                Standing::Go => "go",
                Standing::Wait => "wait",
                Standing::DryRun => "dry",
            };
            let Action { step, target, .. } = action;
            format!("{standing} {} {} {target}", action.provider, step.name())
        };
        let gates = plan.refusals.iter().map(|refusal| refusal.gate.clone());
        (plan.actions.iter().map(action).collect(), gates.collect())
    }
}

const SID: &str = "sid 2d8a9f1e-7b1c-4d7e-9a53-3f0f6a0f8c11";

fn whole(standing: &str) -> Vec<String> {
    vec![
        format!("{standing} gateway revoke jti j-1"),
        format!("{standing} gateway revoke {SID}"),
        format!("{standing} idp revoke {SID}"),
        format!("{standing} idp password subject alice"),
    ]
}

#[test]
fn a_theft_is_contained_at_the_gateway_then_at_the_provider_then_with_the_user() {
    assert_eq!(enforce().shown(), (whole("go"), vec![]));
    let plan = enforce().plan();
    let ends = plan.actions.iter().map(|action| action.denied_until);
    let ends: Vec<_> = ends.map(|end| end.map(|end| end.to_string())).collect();
    assert_eq!(ends[0].as_deref(), Some("2026-05-04T11:16:12.000Z"), "exp");
    assert_eq!(ends[1].as_deref(), Some("2026-06-03T10:12:05.000Z"), "days");
    assert_eq!(ends[2..], [None, None]);
}

fn observing(policy: &Policy) -> Policy {
    Policy {
        deny: Mode::Observe,
        revoke: Mode::Observe,
        password: Mode::Observe,
        ask: Mode::Observe,
        block: Mode::Observe,
        risk: Mode::Observe,
        mfa: Mode::Observe,
        ..policy.clone()
    }
}

#[test]
fn each_gate_alone_keeps_every_action_from_happening() {
    type Change = fn(&mut Case);
    let forbid: [(&str, Change); 9] = [
        ("mode", |c| {
            c.policy = observing(&c.policy);
        }),
        ("mode", |c| {
            c.policy
                .rules
                .insert("impossible_travel".into(), Mode::Observe);
        }),
        ("subject", |c| c.incident.subject = None),
        ("actionable", |c| c.incident.actionable = false),
        ("provenance", |c| {
            c.incident.provenance = Provenance::Claimed
        }),
        ("provenance", |c| {
            c.incident.provenance = Provenance::Presumed
        }),
        ("provenance", |c| {
            c.incident.provenance = Provenance::Accepted
        }),
        ("expired", |c| {
            let targets = &mut c.incident.steps.revoke.targets;
            if let Target::Jti { expires_s, .. } = &mut targets[0] {
                *expires_s = Some(NOW_MS / 1000 - 3600);
            }
        }),
        ("home", |c| {
            c.policy.home = vec!["203.0.113.0/24".parse().unwrap()]
        }),
    ];
    for (gate, change) in forbid {
        let mut case = enforce();
        change(&mut case);
        assert_eq!(case.shown(), (vec![], vec![gate.to_owned()]), "{gate}");
    }
    let ask: [(&str, Change); 6] = [
        ("paused", |c| c.situation.paused = true),
        ("stale", |c| {
            c.situation.now = c.situation.now.plus_ms(11 * 60_000)
        }),
        ("stale", |c| {
            c.situation.now = c.situation.now.plus_ms(-11 * 60_000)
        }),
        ("shared_address", |c| {
            c.incident.suspect.ips = vec!["10.0.0.9".parse().unwrap()]
        }),
        ("shared_address", |c| {
            c.incident.suspect.ips = vec!["100.64.3.4".parse().unwrap()]
        }),
        ("doubt", |c| {
            c.situation.doubt = Some("the place table is 200 days old")
        }),
    ];
    for (gate, change) in ask {
        let mut case = enforce();
        change(&mut case);
        assert_eq!(
            case.shown(),
            (whole("wait"), vec![gate.to_owned()]),
            "{gate}"
        );
    }
}

#[test]
fn modes_are_chosen_for_each_step() {
    let mut case = enforce();
    (case.policy.revoke, case.policy.password) = (Mode::Approve, Mode::DryRun);
    let mut expected = whole("go");
    expected[2] = format!("wait idp revoke {SID}");
    expected[3] = "dry idp password subject alice".to_owned();
    assert_eq!(case.shown(), (expected, vec![]));
    case.policy.deny = Mode::Observe;
    let (actions, gates) = case.shown();
    assert_eq!((actions.len(), gates), (2, vec!["mode".to_owned()]));
}

#[test]
fn an_accepted_token_acts_by_opt_in() {
    let mut case = enforce();
    case.incident.provenance = Provenance::Accepted;
    case.policy.act_on_accepted = true;
    assert_eq!(case.shown(), (whole("go"), vec![]));
}

#[test]
fn a_protected_subject_has_the_token_denied_and_nothing_else() {
    let mut case = enforce();
    case.policy.protected_subjects = vec![glob::Pattern::new("ali*").unwrap()];
    let (actions, gates) = case.shown();
    assert_eq!(
        (&actions[..], gates),
        (&whole("go")[..2], vec!["protected".to_owned()])
    );
}

#[test]
fn the_breaker_holds_what_hurts_and_tokens_are_denied_all_the_same() {
    let mut case = enforce();
    for number in 0..20_u32 {
        case.incident.id = IncidentId::new(number.into());
        case.incident.subject = Some(format!("u{number}").into());
        case.plan();
    }
    case.incident.id = IncidentId::new(99);
    case.incident.subject = Some("alice".into());
    let (actions, gates) = case.shown();
    assert_eq!(actions[..2], whole("go")[..2]);
    assert_eq!(actions[2..], whole("wait")[2..]);
    assert_eq!(gates, ["breaker"]);
    assert!(case.breaker.is_open());
}

#[test]
fn a_subject_that_was_logged_out_within_the_hour_is_not_logged_out_again_by_itself() {
    let mut case = enforce();
    case.plan();
    assert_eq!(
        case.shown(),
        (whole("go"), vec![]),
        "the same incident, planned again"
    );
    case.incident.id = IncidentId::new(99);
    let (actions, gates) = case.shown();
    assert_eq!(
        (&actions[2..], gates),
        (&whole("wait")[2..], vec!["cooldown".to_owned()])
    );
}

#[test]
fn a_subject_is_logged_out_everywhere_only_when_the_narrow_targets_cannot_contain_the_theft() {
    let everywhere = [
        "go gateway revoke subject alice",
        "go idp revoke subject alice",
    ];
    let mut case = enforce();
    case.incident.sessions.push(SessionId::new(7));
    assert_eq!(case.shown().0[3..5], everywhere, "two sessions");
    let mut case = enforce();
    case.incident.steps.revoke.targets.remove(1);
    assert_eq!(case.shown().0[1..3], everywhere, "no sid");
}

#[test]
fn an_accepted_forgery_hurts_nobody_whose_targets_the_incident_does_not_name() {
    let mut case = enforce();
    case.incident.steps.password.needed = false;
    case.incident.steps.revoke.targets = vec![Target::Token {
        iss: None,
        token: TokenId::new(7),
        expires_s: None,
    }];
    let (actions, _) = case.shown();
    assert_eq!(
        actions,
        [format!("go gateway revoke token {}", TokenId::new(7))]
    );
}

#[test]
fn another_issuers_provider_is_never_asked() {
    let mut case = enforce();
    let evil: Arc<str> = "https://idp.example.com/realms/shop/../other".into();
    case.incident.issuer = Some(evil.clone());
    case.incident.steps.revoke.targets[1] = Target::Sid {
        iss: evil,
        sid: "s".into(),
    };
    let (actions, gates) = case.shown();
    assert!(
        actions.iter().all(|action| action.contains("gateway")),
        "{actions:?}"
    );
    assert_eq!(gates, ["provider", "provider"]);
}

#[test]
fn what_is_dead_already_is_not_denied() {
    let mut case = enforce();
    let targets = &mut case.incident.steps.revoke.targets;
    if let Target::Jti { expires_s, .. } = &mut targets[0] {
        *expires_s = Some(NOW_MS / 1000 - 299);
    }
    case.situation.now = case.situation.now.plus_ms(2000);
    assert_eq!(case.shown().0, whole("go")[1..]);
}

#[test]
fn a_drill_denies_what_is_its_own_and_calls_nobody_whatever_the_mode() {
    let mut case = enforce();
    case.policy.deny = Mode::Observe;
    case.policy.revoke = Mode::Observe;
    case.policy.password = Mode::Observe;
    case.incident.subject = Some("drill-1".into());
    if let Some(Target::Jti { jti, .. }) = case.incident.steps.revoke.targets.first_mut() {
        *jti = "drill-1-jti".into();
    }
    assert_eq!(case.shown().0, [""; 0], "nobody announced it");
    case.situation.drill = Some("drill-1");
    // The session is somebody's: a forged token can name any.
    let expected = [
        "go gateway revoke jti drill-1-jti".to_owned(),
        format!("dry idp revoke {SID}"),
        "dry idp password subject alice".to_owned(),
    ];
    assert_eq!(case.shown(), (expected.to_vec(), Vec::new()));
}
