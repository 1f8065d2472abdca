//! A real Chromium, driven by the scripts of `tests/browser`.
//!
//! In: the name of a script, its arguments. Out: words that it says, and how it ended.
//! Does not know: pages. `tests/all` installs Chromium (Debian), playwright-core and axe-core (npm).

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A script that runs; killed when it is dropped.
pub(crate) struct Browser {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Browser {
    /// Runs `tests/browser/<name>.mjs`.
    pub(crate) fn run(name: &str, arguments: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let script = root.join(format!("tests/browser/{name}.mjs"));
        let mut child = Command::new("node")
            .arg(script)
            .args(arguments)
            .env("TOKENTRIP_BROWSER", peers().join("browser"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed by tests/all (Debian: apt-get install nodejs npm chromium)");
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// Waits for a word.
    #[track_caller]
    pub(crate) fn says(&mut self, word: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), word, "what is wrong stands above");
    }

    /// Waits for its end, which must be a good one.
    #[track_caller]
    pub(crate) fn ends_well(mut self) {
        let rest = (&mut self.said).lines().map_while(Result::ok);
        rest.for_each(|line| println!("{line}"));
        assert!(
            self.child.wait().unwrap().success(),
            "what is wrong stands above"
        );
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It has ended already unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `tests/all` puts what Debian does not have.
fn peers() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
    target.join("peers")
}
