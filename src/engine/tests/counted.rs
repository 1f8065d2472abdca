//! Uses on the fast path leave what they leave on the slow one.

use super::*;

/// What may come between two uses of tokens.
enum Act {
    Restart,
    Rules,
    Deny {
        jti: usize,
    },
    Use {
        token: usize,
        stranger: bool,
        status: u16,
    },
}

impl Kit {
    fn act(&mut self, at_s: i64, act: &Act, tokens: &[String], rules: &Arc<RuleSet>) {
        match *act {
            Act::Restart => {
                let memory = self.engine.snapshot().unwrap();
                self.engine.restore(&memory).unwrap();
            }
            Act::Rules => {
                let rules = Input::Rules(Arc::clone(rules));
                self.engine.observe(rules, &mut self.seen);
            }
            Act::Deny { jti } => {
                let target = Target::Jti {
                    iss: ISSUER.into(),
                    jti: format!("j{jti}").into(),
                    expires_s: None,
                };
                let time = Time::EPOCH.plus_ms((T0 + at_s) * 1000);
                let denied = Input::Revoked { target, time };
                self.engine.observe(denied, &mut self.seen);
            }
            Act::Use {
                token,
                stranger,
                status,
            } => {
                let home = [LISBON, TOKYO, "203.0.113.5"][token / 4];
                let (from, agent) = match stranger {
                    true => ("2001:db8:77::1", TOOL),
                    false => (home, BROWSER),
                };
                self.line(at_s, from, agent, &tokens[token], status);
            }
        }
    }
}

/// Few holders, thieves among them, in a store that is too small; denials, restarts and new rules come between.
#[test]
fn uses_that_are_only_counted_leave_what_uses_leave_that_are_measured_one_by_one() {
    let token = |n: usize| {
        let (session, jti) = (format!("s{}", n / 2), format!("j{n}"));
        mint(
            &claims(&format!("user{}", n / 4), &session, &jti),
            "ed25519",
        )
    };
    let tokens: Vec<String> = (0..12).map(token).collect();
    let rules = Arc::new(RuleSet::embedded().unwrap());
    for seed in 0..12u64 {
        // Knuth's linear congruential generator, MMIX.
        let mut random = seed;
        let mut below = |bound: u64| {
            random = u64::wrapping_mul(random, 6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % bound
        };
        let mut kits = [true, false].map(|fast_path| {
            let mut settings = settings();
            (settings.fast_path, settings.limits.tokens) = (fast_path, 14);
            settings.limits.sessions = 8;
            kit_of(settings, Issuers::default())
        });
        let (mut at_s, mut lanes) = (0, 0);
        for _ in 0..600 {
            at_s += below(20) as i64 - 2;
            let token = below(12) as usize;
            let act = match below(200) {
                0 => Act::Restart,
                1 => Act::Rules,
                2 => Act::Deny { jti: token },
                _ => Act::Use {
                    token,
                    stranger: below(100) == 0,
                    status: *[404, 401].get(below(40) as usize).unwrap_or(&200),
                },
            };
            for kit in &mut kits {
                kit.act(at_s, &act, &tokens, &rules);
            }
            lanes += u32::from(kits[0].engine.lanes.holds_any());
        }
        let [fast, slow] = &mut kits;
        assert!(lanes > 100, "seed {seed}: {lanes}");
        fast.engine.land_all();
        assert_eq!(fast.seen.findings, slow.seen.findings, "seed {seed}");
        let uses = |kit: &Kit| kit.engine.totals().uses;
        assert_eq!(uses(fast), uses(slow), "seed {seed}");
        assert_eq!(
            fast.engine.incidents(),
            slow.engine.incidents(),
            "seed {seed}"
        );
        for sid in 0..6 {
            let id = session_of_sid(ISSUER, &format!("s{sid}"), &key());
            let of = |kit: &Kit| kit.engine.state.stores.sessions.get(id).cloned();
            assert_eq!(of(fast), of(slow), "seed {seed}, session {sid}");
        }
    }
}

/// What is said once a day is said by the first use of the day, also by one that repeats the last of the day before.
#[test]
fn a_use_after_midnight_is_looked_at_however_much_it_repeats_the_last() {
    rests_on!(LeakRawInLog, "raw_token_in_log");
    const MIDNIGHT_S: i64 = 86_400 - T0 % 86_400;
    let mut told = claims("alice", "s1", "j1");
    told["exp"] = (T0 + 2 * 86_400).into();
    let token = mint(&told, "rsa-2048");
    let kits = [true, false].map(|fast_path| {
        let settings = Settings {
            fast_path,
            ..settings()
        };
        let mut kit = kit_of(settings, Issuers::default());
        for at_s in [-120, -60, -30, 10, 20, 30] {
            kit.line(MIDNIGHT_S + at_s, LISBON, BROWSER, &token, 200);
        }
        kit
    });
    let [fast, slow] = kits.map(|kit| (kit.rules(), kit.seen.findings));
    assert_eq!(fast, slow);
    let days = fast.0.iter().filter(|rule| *rule == "raw_token_in_log");
    assert_eq!(days.count(), 2);
}
