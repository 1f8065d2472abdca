//! Providers that can do one thing: which of it is planned.

use super::*;

/// A provider that blocks addresses and takes that back.
#[derive(Debug)]
struct Edge(Arc<str>);

impl Provider for Edge {
    fn name(&self) -> &Arc<str> {
        &self.0
    }
    fn answers_for(&self, _: &str) -> bool {
        true
    }
    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>> {
        let known = matches!(
            (step, target),
            (Step::Block | Step::Undo, Target::Address { .. })
        );
        known.then(|| vec![format!("{} {target}", step.name())])
    }
    fn carry_out<'a>(&'a self, _: &'a Action) -> Attempt<'a> {
        Box::pin(async { Outcome::Done })
    }
}

/// A provider that can force a password and write a mail, or only write one.
#[derive(Debug)]
struct Writer(Arc<str>, bool);

impl Provider for Writer {
    fn name(&self) -> &Arc<str> {
        &self.0
    }
    fn answers_for(&self, _: &str) -> bool {
        true
    }
    fn calls(&self, step: Step, _: &Target) -> Option<Vec<String>> {
        let able = step == Step::Ask || step == Step::Password && self.1;
        able.then(|| vec![step.name().to_owned()])
    }
    fn carry_out<'a>(&'a self, _: &'a Action) -> Attempt<'a> {
        Box::pin(async { Outcome::Done })
    }
}

/// A provider that hears of risks and sets up second factors, beside what is urgent.
#[derive(Debug)]
struct Later(Arc<str>);

impl Provider for Later {
    fn name(&self) -> &Arc<str> {
        &self.0
    }
    fn answers_for(&self, _: &str) -> bool {
        true
    }
    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>> {
        let able = matches!(step, Step::Password | Step::Risk | Step::Mfa);
        let able = able && matches!(target, Target::Subject { .. });
        able.then(|| vec![step.name().to_owned()])
    }
    fn carry_out<'a>(&'a self, _: &'a Action) -> Attempt<'a> {
        Box::pin(async { Outcome::Done })
    }
}

impl Case {
    fn planned(&mut self, provider: impl Provider + 'static, step: Step) -> Vec<Action> {
        let providers: [Arc<dyn Provider>; 1] = [Arc::new(provider)];
        let (policy, situation) = (&self.policy, &self.situation);
        let plan = plan(
            &self.incident,
            policy,
            situation,
            &providers,
            &mut self.breaker,
        );
        plan.actions
            .into_iter()
            .filter(|action| action.step == step)
            .collect()
    }

    fn blocked(&mut self) -> Vec<String> {
        let actions = self.planned(Edge("edge".into()), Step::Block);
        actions
            .iter()
            .map(|action| action.target.to_string())
            .collect()
    }
}

#[test]
fn only_addresses_of_the_suspect_alone_are_blocked_and_can_be_let_go() {
    let mut case = enforce();
    case.incident.victim = Some(crate::domain::incident::Side {
        networks: vec!["AS64496 Example Home Lisbon (Lisbon, PT)".to_owned()],
        clients: Vec::new(),
    });
    case.incident.suspect.networks = vec!["AS64507 Example Home Tokyo (Tokyo, JP)".to_owned()];
    let ips = [
        "203.0.113.9",
        "10.0.0.7",
        "100.64.3.4",
        "198.51.100.7",
        "::ffff:203.0.113.10",
    ];
    case.incident.suspect.ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
    case.policy.home = vec!["198.51.100.0/24".parse().unwrap()];
    assert_eq!(
        case.blocked(),
        ["address 203.0.113.9", "address 203.0.113.10"]
    );
    let actions = case.planned(Edge("edge".into()), Step::Block);
    assert!(
        actions
            .iter()
            .all(|action| action.undoable && action.idempotent)
    );
    case.policy.block = Mode::Observe;
    assert_eq!(case.blocked(), [""; 0]);
    case.policy.block = Mode::Enforce;
    let victim = case.incident.victim.clone();
    case.incident
        .suspect
        .networks
        .push(victim.as_ref().unwrap().networks[0].clone());
    assert_eq!(case.blocked(), [""; 0], "the holder uses that network, too");
    case.incident.suspect.networks.pop();
    case.incident.victim = None;
    assert_eq!(case.blocked(), [""; 0], "nobody knows who is who");
}

#[test]
fn who_is_forced_gets_no_mail_of_the_same_provider_and_a_mail_is_never_made_twice() {
    let mail = enforce().planned(Writer("mail".into(), false), Step::Ask);
    assert_eq!(mail.len(), 1);
    assert!(!mail[0].idempotent);
    assert_eq!(
        enforce().planned(Writer("okta".into(), true), Step::Ask),
        []
    );
    let mut case = enforce();
    case.policy.password = Mode::Observe;
    assert_eq!(
        case.planned(Writer("okta".into(), true), Step::Ask).len(),
        1
    );
    case.policy.ask = Mode::Observe;
    assert_eq!(case.planned(Writer("okta".into(), true), Step::Ask), []);
}

#[test]
fn what_outlives_the_theft_waits_for_a_person_while_the_urgent_goes_ahead() {
    let standing = |case: &mut Case, step| {
        let planned = case.planned(Later("idp".into()), step);
        let standing = planned.iter().map(|action| action.standing);
        standing.collect::<Vec<_>>()
    };
    for step in [Step::Risk, Step::Mfa] {
        let mut case = enforce();
        assert_eq!(standing(&mut case, step), [Standing::Wait]);
        assert_eq!(standing(&mut case, Step::Password), [Standing::Go]);
        case.policy.risk = Mode::Enforce;
        case.policy.mfa = Mode::Enforce;
        assert_eq!(standing(&mut case, step), [Standing::Go]);
        // Both hurt, so a protected subject is spared, and the budget counts.
        case.policy.budget.subjects_per_minute_max = 0;
        case.breaker = Breaker::default();
        assert_eq!(standing(&mut case, step), [Standing::Wait]);
        case.policy.protected_subjects = vec![glob::Pattern::new("ali*").unwrap()];
        assert_eq!(standing(&mut case, step), []);
    }
    let mut case = enforce();
    (case.policy.risk, case.policy.mfa) = (Mode::Observe, Mode::Observe);
    let plan = case.plan();
    let gates: Vec<_> = plan.refusals.iter().map(|refusal| &refusal.gate).collect();
    assert_eq!(
        gates, [""; 0],
        "what is merely proposed is missed by nobody"
    );
}
