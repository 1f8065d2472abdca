//! The stories of `sample-logs`: the logs are the generator's, and a scan of each says what is written beside it.
//!
//! In: `sample-logs/<story>`, the program. Out: nothing. `TOKENTRIP_BLESS=1 cargo test stories::` writes the logs and what
//! a scan says of them.
//! Does not know: why a story must have this outcome; its `story.md` says it.

use crate::support::stories::{File, Story, all};
use crate::support::{shipped, speakers};
use assert_cmd::Command;
use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Where every scan runs, so that evidence names files as a user of the repository would.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Stories in which nothing is stolen.
const QUIET: [&str; 2] = ["quiet_day", "quiet_moves"];

/// What a scan wrote, and how it ended.
struct Told {
    /// NDJSON without how long it took.
    stdout: String,
    stderr: String,
    code: i32,
}

impl Told {
    /// The lines of one type.
    fn lines(&self, kind: &str) -> Vec<&str> {
        let begin = format!("{{\"type\":\"{kind}\"");
        let lines = self.stdout.lines();
        lines.filter(|line| line.starts_with(&begin)).collect()
    }
}

fn scan(path: &str, options: &[&str]) -> Told {
    let mut command = Command::cargo_bin("tokentrip").unwrap();
    let output = command
        .current_dir(ROOT)
        .env_remove("TOKENTRIP_CONFIG")
        .args(["scan", path])
        .args(options)
        .output()
        .unwrap();
    Told {
        stdout: timeless(&String::from_utf8(output.stdout).unwrap()),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

/// Without `"seconds":…,` of the summary, which no two scans share.
fn timeless(ndjson: &str) -> String {
    let Some((before, after)) = ndjson.split_once("\"seconds\":") else {
        return ndjson.to_owned();
    };
    let (_, after) = after.split_once(',').unwrap();
    before.to_owned() + after
}

fn folder(story: &Story) -> PathBuf {
    Path::new(ROOT).join("sample-logs").join(story.name)
}

fn path(story: &Story) -> String {
    format!("sample-logs/{}", story.name)
}

/// What a scan must say of it.
fn expected(story: &Story) -> String {
    fs::read_to_string(folder(story).join("expected.ndjson")).unwrap()
}

/// True when every rule that speaks in it is shipped.
fn can_be_told(story: &Story) -> bool {
    shipped(&speakers(&expected(story)))
}

fn updating() -> bool {
    std::env::var_os("TOKENTRIP_BLESS").is_some()
}

fn read(path: &Path, file: &File) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    if file.name.ends_with(".gz") {
        GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

fn write(path: &Path, file: &File) {
    let bytes = if file.name.ends_with(".gz") {
        let mut gz = GzBuilder::new().write(Vec::new(), Compression::best());
        gz.write_all(file.text.as_bytes()).unwrap();
        gz.finish().unwrap()
    } else {
        file.text.clone().into_bytes()
    };
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_story_is_what_its_generator_writes_and_a_scan_of_it_says_what_is_expected() {
    for story in all() {
        let folder = folder(&story);
        for file in &story.files {
            let path = folder.join(file.name);
            if updating() {
                fs::create_dir_all(&folder).unwrap();
                // A compressed log that holds the same stays as it is: compressors change.
                if !path.exists() || read(&path, file) != file.text {
                    write(&path, file);
                }
            }
            assert!(read(&path, file) == file.text, "{} differs", path.display());
        }
        let told = scan(&path(&story), &[]);
        if updating() {
            fs::write(folder.join("expected.ndjson"), &told.stdout).unwrap();
        }
        if can_be_told(&story) {
            assert_eq!(told.stdout, expected(&story), "{}", story.name);
        }
    }
}

#[test]
fn a_story_is_told_the_same_every_time_and_with_any_number_of_threads() {
    for story in all() {
        let [once, one, eight] = [&[][..], &["--jobs", "1"], &["--jobs", "8"]]
            .map(|options| scan(&path(&story), options).stdout);
        assert_eq!((&one, &eight), (&once, &once), "{}", story.name);
    }
}

#[test]
fn a_story_is_told_the_same_when_every_line_is_judged_in_full() {
    for story in all() {
        let (fast, full) = (
            scan(&path(&story), &[]),
            scan(&path(&story), &["--no-fast-path"]),
        );
        for kind in ["finding", "incident", "summary"] {
            assert_eq!(fast.lines(kind), full.lines(kind), "{}", story.name);
        }
    }
}

#[test]
fn all_stories_in_one_scan_tell_the_incidents_that_each_tells_alone() {
    let whole = scan("sample-logs", &[]);
    assert_eq!((whole.code, whole.stderr.contains("error")), (1, false));
    // Whether a suspect is still active is asked at the end of the log, and the last story ends last.
    let lasting = |told: &Told| -> Vec<String> {
        let lines = told.lines("incident").into_iter();
        lines
            .map(|line| line.replace("\"suspect_active\":true", "\"suspect_active\":false"))
            .collect()
    };
    let together: BTreeSet<_> = lasting(&whole).into_iter().collect();
    let alone = all();
    let alone = alone
        .iter()
        .flat_map(|story| lasting(&scan(&path(story), &[])));
    let alone: BTreeSet<_> = alone.collect();
    assert_eq!(together, alone);
}

#[test]
fn a_theft_ends_a_scan_with_1_and_a_quiet_day_with_0() {
    for story in all().into_iter().filter(can_be_told) {
        let told = scan(&path(&story), &[]);
        let quiet = QUIET.contains(&story.name);
        assert_eq!(told.lines("incident").is_empty(), quiet, "{}", story.name);
        assert_eq!(told.code, i32::from(!quiet), "{}", story.name);
    }
}

#[test]
fn no_output_of_any_story_shows_a_token() {
    for options in [
        &[][..],
        &["--output", "pretty", "--color", "always"],
        &["--output", "pretty", "--summary"],
        &["--pseudonymise"],
    ] {
        let told = scan("sample-logs", options);
        assert!(!told.stdout.is_empty());
        assert!(!(told.stdout + &told.stderr).contains("eyJ"), "{options:?}");
    }
}

#[test]
fn every_folder_of_sample_logs_is_a_story_with_words_and_stands_in_the_list() {
    let folder = Path::new(ROOT).join("sample-logs");
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    let names: BTreeSet<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let stories: BTreeSet<_> = all().iter().map(|story| story.name.to_owned()).collect();
    assert_eq!(names, stories);
    for name in names {
        let words = fs::read_to_string(folder.join(&name).join("story.md")).unwrap();
        for heading in ["## What happens", "## What to learn", "## What to do"] {
            assert!(words.contains(heading), "{name}/story.md: {heading}");
        }
        assert!(list.contains(&format!("({name}/story.md)")), "{name}");
    }
}
