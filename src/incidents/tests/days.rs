//! Made-up days: whatever comes and whenever the daemon is restarted, the same is told, and what is kept is bounded.

use super::*;

/// A made-up day: who, from where, when, what rules said.
fn day(steps: &[(u8, u8, i64, u8)], mut between: impl FnMut(&mut Incidents)) -> Incidents {
    let mut incidents = Incidents::default();
    for (sub, from, time_s, says) in steps {
        let sub = format!("user {}", sub % 9);
        let from = [LISBON, TOKYO, BERLIN][usize::from(from % 3)];
        let all = [
            (Place, 60),
            (Client, 30),
            (Network, 25),
            (Theft, 90),
            (Fault, 60),
            (Volume, 10),
        ];
        let says: Vec<_> = (0..6)
            .filter(|bit| says & (1 << bit) != 0)
            .map(|bit| all[bit])
            .collect();
        theft(&mut incidents, &sub, from, *time_s, &says);
        between(&mut incidents);
    }
    incidents
}

#[test]
fn no_flood_grows_a_case_or_the_table_without_bound() {
    let mut incidents = Incidents::default();
    let home = context(LISBON);
    for n in 0..12_000_u32 {
        let from = Arc::new(Context {
            address: std::net::IpAddr::V4((n << 8).into()).into(),
            agent: Arc::default(),
            network: None,
            ..context(TOKYO)
        });
        let sub = format!("user {n}");
        let (published, own) = (token("alice", n), token(&sub, 1));
        let made = Use::at(1000 + i64::from(n % 60), "/api", 200);
        for token in [&published, &own] {
            let usage = made.of(token, &from);
            let finding = finding(&usage, Place, 60);
            incidents.record(&report(&finding, &usage, Some(&home)));
            incidents.note(&usage);
        }
    }
    let all = incidents.finish();
    assert!(all.len() <= 10_000);
    assert!(incidents.evictions().shown >= 2_000);
    assert!(all.iter().all(|incident| incident.suspect.ips.len() <= 20
        && incident.findings.len() <= 50
        && incident.steps.revoke.targets.len() <= 200));
    assert!(
        all.iter()
            .filter(|i| i.subject.as_deref() == Some("alice"))
            .count()
            <= 20
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    #[test]
    fn a_snapshot_at_any_moment_changes_nothing(
        steps in proptest::collection::vec((0u8..9, 0u8..3, 0i64..30_000, 0u8..64), 0..60)
    ) {
        let straight = day(&steps, |_| ());
        let restarted = day(&steps, |incidents| {
            let bytes = postcard::to_allocvec(incidents).unwrap();
            *incidents = postcard::from_bytes(&bytes).unwrap();
        });
        proptest::prop_assert_eq!(straight.finish(), restarted.finish());
        let ids: Vec<_> = straight.finish().iter().map(|incident| incident.id).collect();
        let again = day(&steps, |_| ()).finish();
        let again: Vec<_> = again.iter().map(|incident| incident.id).collect();
        proptest::prop_assert_eq!(ids, again);
    }
}
