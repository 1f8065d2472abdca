//! `tokentrip rules`: check, list, explain and test rules.
//!
//! In: a folder of rules, or none for those that come with the program. Out: text for people.
//! Does not know: how rules are compiled; how a log is judged (the caller gives that as a function).

use crate::domain::facts::{Fact, FactKind};
use crate::domain::usage::Field;
use crate::rules::{Rule, RuleFault, RuleSet, RuleTest, Service, test_log};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Folders in folders: a checkout of SigmaHQ is five deep.
const DEPTH_MAX: usize = 8;

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    /// The folder, or a file in it, could not be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no rule in the folder.
    #[error("{0} holds no rule (no file ends in .yml or .yaml)")]
    Empty(PathBuf),
    /// Rules are wrong: every mistake.
    #[error("{}", shown(.0))]
    Wrong(Vec<RuleFault>),
    /// No rule has this name.
    #[error("there is no rule `{name}`{hint}: `tokentrip rules list` shows all")]
    Unknown {
        /// The name.
        name: String,
        /// Which was probably meant.
        hint: String,
    },
    /// What was to be said could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

fn shown(faults: &[RuleFault]) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    faults.join("\n")
}

/// The rules of a folder and its folders, of one file, or those that come with the program.
///
/// # Errors
/// When the folder cannot be read or holds no rule, and every mistake in its rules.
pub(crate) fn read(folder: Option<&Path>) -> Result<RuleSet, RulesError> {
    let Some(folder) = folder else {
        return RuleSet::embedded().map_err(RulesError::Wrong);
    };
    let mut paths = Vec::new();
    if folder.is_file() {
        paths.push(folder.to_owned());
    } else {
        walk(folder, 0, &mut paths).map_err(|source| RulesError::Unreadable {
            path: folder.to_owned(),
            source,
        })?;
    }
    if paths.is_empty() {
        return Err(RulesError::Empty(folder.to_owned()));
    }
    paths.sort();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match fs::read_to_string(&path) {
            Ok(text) => files.push((path.display().to_string(), text)),
            Err(source) => return Err(RulesError::Unreadable { path, source }),
        }
    }
    RuleSet::load(&files).map_err(RulesError::Wrong)
}

fn walk(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() && depth < DEPTH_MAX {
            walk(&path, depth + 1, paths)?;
        } else if matches!(extension, Some("yml" | "yaml")) {
            paths.push(path);
        }
    }
    Ok(())
}

/// Reads rules and says what is worth knowing about them.
///
/// # Errors
/// Those of [`read`].
pub(crate) fn check(folder: Option<&Path>, out: &mut dyn Write) -> Result<(), RulesError> {
    let rules = read(folder)?;
    for note in rules.notes() {
        writeln!(out, "{note}")?;
    }
    let count = rules.rules().len();
    let tests: usize = rules.rules().iter().map(|rule| rule.tests.len()).sum();
    writeln!(out, "{count} rules with {tests} tests: nothing is wrong")?;
    Ok(())
}

/// Lists the rules as a table that Markdown reads too.
///
/// # Errors
/// When `out` cannot be written to.
pub(crate) fn list(rules: &RuleSet, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![["rule", "level", "score", "dimension", "looks at"].map(String::from)];
    for rule in rules.rules() {
        rows.push([
            rule.name.to_string(),
            rule.level.name().to_owned(),
            rule.score.to_string(),
            rule.dimension.name().to_owned(),
            looks_at(rule),
        ]);
    }
    table(&rows, out)
}

fn looks_at(rule: &Rule) -> String {
    if let Some(correlation) = &rule.correlation {
        let rules: Vec<&str> = correlation.rules().map(|rule| &**rule).collect();
        return format!("hits of {}", rules.join(", "));
    }
    let facts = rule.facts();
    let names = Fact::ALL.iter().filter(|fact| facts.contains(**fact));
    let names: Vec<&str> = names.map(|fact| fact.name()).collect();
    match (names.is_empty(), rule.service) {
        (true, Service::Webserver) => "the request".to_owned(),
        (true, Service::TokenUse) => "the token".to_owned(),
        _ => names.join(", "),
    }
}

/// Lists every field and fact that a rule may name.
///
/// # Errors
/// When `out` cannot be written to.
pub(crate) fn list_fields(out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![["field", "kind", "what it is"].map(String::from)];
    for field in Field::PLAIN {
        let aliases = field.aliases().join(", ");
        let also = if aliases.is_empty() {
            String::new()
        } else {
            format!("also {aliases}")
        };
        rows.push([field.name().to_owned(), "field".to_owned(), also]);
    }
    for fact in Fact::ALL {
        let kind = match fact.kind() {
            FactKind::Flag => "flag",
            FactKind::Number => "number",
            FactKind::Counter => "counter",
        };
        rows.push([fact.name(), kind, fact.help()].map(String::from));
    }
    table(&rows, out)
}

fn table<const N: usize>(rows: &[[String; N]], out: &mut dyn Write) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = (row.iter().zip(widths))
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
        if index == 0 {
            let rule = widths.map(|width| "-".repeat(width + 2));
            writeln!(out, "|{}|", rule.join("|"))?;
        }
    }
    Ok(())
}

/// Says what a rule looks for, when it errs and what to do.
///
/// # Errors
/// When no rule has the name, or `out` cannot be written to.
pub(crate) fn explain(rules: &RuleSet, name: &str, out: &mut dyn Write) -> Result<(), RulesError> {
    let rule = find(rules, name)?;
    writeln!(out, "{} ({}, {})\n", rule.title, rule.name, rule.id)?;
    writeln!(out, "{}\n", rule.description)?;
    let (level, score, dimension) = (rule.level.name(), rule.score, rule.dimension.name());
    writeln!(
        out,
        "Level {level}, {score} points in the dimension {dimension}."
    )?;
    writeln!(out, "May lead to: {}.", rule.response.name())?;
    writeln!(out, "Looks at: {}.", looks_at(rule))?;
    if !rule.attack.is_empty() {
        writeln!(out, "ATT&CK: {}.", rule.attack.join(", "))?;
    }
    if !rule.runbook.is_empty() {
        writeln!(out, "\nWhat to do\n{}", rule.runbook)?;
    }
    if let Some(step4) = &rule.step4 {
        writeln!(out, "\nLikely cause\n{}.\n{}.", step4.hint, step4.fix)?;
    }
    paragraphs("When it errs", &rule.falsepositives, out)?;
    paragraphs("To read", &rule.references, out)?;
    Ok(())
}

fn paragraphs(title: &str, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(out, "- {line}"))
}

fn find<'r>(rules: &'r RuleSet, name: &str) -> Result<&'r Rule, RulesError> {
    rules.rule(name).ok_or_else(|| {
        let names = rules.rules().iter().map(|rule| &*rule.name);
        let near = crate::domain::mistake::nearest(name, names);
        RulesError::Unknown {
            name: name.to_owned(),
            hint: near
                .map(|near| format!(", did you mean `{near}`"))
                .unwrap_or_default(),
        }
    })
}

/// Judges a test's log, tokens minted, by rules; gives the names of the rules that found something.
/// The test says which keys are configured for [`test_log::ISSUER`] and which of its sessions were revoked.
pub(crate) type Run<'f> = &'f dyn Fn(&RuleTest, &str, &RuleSet) -> Result<Vec<String>, String>;

/// Runs the tests that rules bring; of all rules when `only` is empty. True when all are as expected.
///
/// # Errors
/// When a name in `only` is no rule's, or `out` cannot be written to.
pub(crate) fn test(
    rules: &RuleSet,
    only: &[String],
    run: Run<'_>,
    out: &mut dyn Write,
) -> Result<bool, RulesError> {
    for name in only {
        find(rules, name)?;
    }
    let chosen = |rule: &&Rule| only.is_empty() || only.iter().any(|name| **name == *rule.name);
    let (mut passed, mut failed) = (0, 0);
    for rule in rules.rules().iter().filter(chosen) {
        for test in &rule.tests {
            match outcome(rule, test, rules, run) {
                Ok(()) => passed += 1,
                Err(why) => {
                    failed += 1;
                    writeln!(out, "{}: {}: {why}", rule.name, test.name)?;
                }
            }
        }
    }
    writeln!(out, "{passed} tests as expected, {failed} not")?;
    Ok(failed == 0)
}

fn outcome(rule: &Rule, test: &RuleTest, rules: &RuleSet, run: Run<'_>) -> Result<(), String> {
    let log = test_log::expand(&test.log).map_err(|mistake| mistake.message)?;
    let found = run(test, &log, rules)?;
    let speaks = found.iter().any(|name| **name == *rule.name);
    match (test.expects_finding, speaks) {
        (true, false) if found.is_empty() => Err("no rule found anything".to_owned()),
        (true, false) => Err(format!("only others found something: {}", found.join(", "))),
        (false, true) => Err("it must be quiet, and it is not".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ALL;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The rows of a table, however wide its columns are.
    fn rows(table: &str) -> Vec<Vec<&str>> {
        let rows = table.lines().filter(|line| line.starts_with("| "));
        let cells = rows.map(|row| row.split('|').map(str::trim).collect());
        cells.collect()
    }

    /// The row of one rule that was taken away may be left: that is no harm to another. More would be a stale table.
    #[test]
    fn the_table_in_the_readme_has_every_rule_that_the_program_lists() {
        let rules = read(None).unwrap();
        let listed = written(|out| list(&rules, out).unwrap());
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/README.md");
        let readme = fs::read_to_string(readme).unwrap();
        let (_, table) = readme.split_once("\n| rule ").unwrap();
        let (table, _) = table.split_once("\n\n").unwrap_or((table, ""));
        let table = format!("| rule {table}");
        let (known, listed_rows) = (rows(&table), rows(&listed));
        let missing = listed_rows.iter().find(|row| !known.contains(row));
        assert_eq!(missing, None, "put this into rules/README.md:\n{listed}");
        assert!(known.len() <= listed_rows.len() + 1, "rules that are gone");
    }

    #[test]
    fn every_field_and_fact_is_listed_with_what_it_is() {
        let listed = written(|out| list_fields(out).unwrap());
        assert!(listed.contains("| url.path "), "{listed}");
        assert!(listed.contains("also cs-uri-stem"), "{listed}");
        assert!(Fact::ALL.iter().all(|fact| listed.contains(fact.help())));
    }

    #[test]
    fn a_rule_is_explained_and_a_slip_is_understood() {
        let rules = read(None).unwrap();
        let rule = &rules.rules()[0];
        let told = written(|out| explain(&rules, &rule.name, out).unwrap());
        let head = format!("Level {}, {} points", rule.level.name(), rule.score);
        for part in [&*head, "What to do\n1. ", "When it errs", &rule.attack[0]] {
            assert!(told.contains(part), "{told}");
        }
        let slip = format!("{}s", rule.name);
        let error = explain(&rules, &slip, &mut Vec::new()).unwrap_err();
        let expected = format!(
            "there is no rule `{slip}`, did you mean `{}`: `tokentrip rules list` shows all",
            rule.name
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_folder_is_read_with_all_its_mistakes() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(Some(folder.path())).unwrap_err();
        assert!(matches!(error, RulesError::Empty(_)));
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("a.yml"), "title: [").unwrap();
        fs::write(folder.path().join("deep/b.yaml"), "title: t\n").unwrap();
        let error = read(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("a.yml:1"), "{error}");
        assert!(error.contains("the rule has no `logsource`"), "{error}");
        let error = read(Some(Path::new("/nowhere"))).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere: "), "{error}");
        let one = folder.path().join("deep/b.yaml");
        let error = read(Some(&one)).unwrap_err().to_string();
        assert!(
            error.contains("b.yaml") && !error.contains("a.yml"),
            "{error}"
        );
    }

    #[test]
    fn a_single_file_is_a_set_of_rules() {
        let (name, _) = ALL[0];
        let rule = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("rules/{name}.yml"));
        let rules = read(Some(&rule)).unwrap();
        let names: Vec<&str> = rules.rules().iter().map(|rule| &*rule.name).collect();
        assert_eq!(names, [name]);
    }

    #[test]
    fn a_test_that_is_not_as_expected_is_told() {
        let rules = read(None).unwrap();
        let named = &rules.rules()[0];
        let only = [named.name.to_string()];
        let silent = |_: &RuleTest, log: &str, _: &RuleSet| {
            assert!(!log.contains("${jwt"));
            Ok(Vec::new())
        };
        let mut out = Vec::new();
        assert!(!test(&rules, &only, &silent, &mut out).unwrap());
        let told = String::from_utf8(out).unwrap();
        let mut loud = named.tests.iter().filter(|test| test.expects_finding);
        let title = &loud.next().unwrap().name;
        let first = format!("{}: {title}: no rule found anything", named.name);
        assert!(told.starts_with(&first), "{told}");
    }
}
