//! What README.md and the guides tell people to type, typed.
//!
//! In: its `console` and `toml` blocks. Out: each command's output has the shown lines, in their order; each
//! configuration loads; what it names is there.

use crate::support::{is_listed, shipped, speakers};
use regex::Regex;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use tokentrip::config::Config;

/// What people are told to type, by document.
const DOCUMENTS: [&str; 2] = [
    include_str!("../README.md"),
    include_str!("../deploy/guides/investigate.md"),
];

/// The fenced blocks of that language.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let fence = fence.as_str();
    let openings = DOCUMENTS.iter().flat_map(|text| text.split(fence).skip(1));
    openings
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// What a command prints at the root of the project, as at a terminal.
fn output_of(command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_tokentrip"));
    let path = format!("{}:{}", program.parent().unwrap().display(), env!("PATH"));
    // A test is no terminal, where `scan` would write NDJSON.
    let command = if command.contains("--output") {
        command.to_owned()
    } else {
        command.replace(
            "tokentrip scan",
            "tokentrip scan --output pretty --color never",
        )
    };
    let ran = Command::new("sh")
        .args(["-c", &command])
        .env("PATH", path)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.code().is_some_and(|code| code < 2),
        "{command}\n{errors}"
    );
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn the_commands_of_the_readme_print_what_it_shows() {
    let stories = crate::support::stories::all();
    let told = stories.iter().map(|story| {
        let expected = format!("sample-logs/{}/expected.ndjson", story.name);
        fs::read_to_string(expected).unwrap()
    });
    if !told.into_iter().all(|told| shipped(&speakers(&told))) {
        return;
    }
    for block in blocks("console") {
        for example in block.split("$ ").skip(1) {
            let (command, shown) = example.split_once('\n').unwrap();
            let output = output_of(command);
            let mut lines = output.lines();
            for expected in shown.lines().filter(|line| *line != "…") {
                assert!(
                    lines.any(|line| line == expected),
                    "$ {command}\nshows no\n{expected}\nat its place in\n{output}"
                );
            }
        }
    }
}

#[test]
fn the_configurations_of_the_readme_load() {
    let names = [
        "TOKENTRIP_CROWDSEC_PASSWORD",
        "TOKENTRIP_HOOK_SECRET",
        "TOKENTRIP_KEYCLOAK_SECRET",
        "TOKENTRIP_REDIS_PASSWORD",
    ];
    let environment = names.map(|name| (name.to_owned(), "example-only".to_owned()));
    let environment = BTreeMap::from(environment);
    let blocks = blocks("toml");
    assert!(!blocks.is_empty());
    for block in blocks {
        let file = Path::new("tokentrip.toml");
        if let Err(error) = Config::of_text(&block, Some(file), &environment) {
            panic!("{error}");
        }
    }
}

#[test]
fn the_rules_the_readme_names_stand_in_the_table_of_rules() {
    let readme = include_str!("../README.md");
    let (_, section) = readme.split_once("## What it catches").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|'));
    for name in rows.flat_map(|row| row.split('`').skip(1).step_by(2)) {
        assert!(is_listed(name), "{name}");
    }
}

/// The configuration inside the pod of `deploy/kubernetes`.
#[test]
fn the_configuration_of_the_pod_loads() {
    let pod = include_str!("../deploy/kubernetes/sidecar.yaml");
    let (_, config) = pod.split_once("tokentrip.toml: |\n").unwrap();
    let (config, _) = config.split_once("---").unwrap();
    let config: String = config
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    let file = Path::new("tokentrip.toml");
    if let Err(error) = Config::of_text(&config, Some(file), &BTreeMap::new()) {
        panic!("{error}");
    }
}

#[test]
fn the_links_between_documents_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#]+)").unwrap();
    let documents = [
        "README.md",
        "SECURITY.md",
        "src/README.md",
        "tests/README.md",
        "rules/README.md",
        "sample-logs/README.md",
        "deploy/guides/drill.md",
        "deploy/guides/investigate.md",
        "deploy/kubernetes/README.md",
    ];
    for document in documents {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        let text = fs::read_to_string(&path).unwrap();
        let targets = link.captures_iter(&text).map(|found| found[1].to_owned());
        // Links to the web, and those that rustdoc follows and checks.
        for target in targets.filter(|target| !target.contains("://") && !target.contains("::")) {
            assert!(
                path.parent().unwrap().join(&target).exists(),
                "{document}: {target}"
            );
        }
    }
}
