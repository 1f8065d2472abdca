//! What distinct forged tokens cost those who come with real ones.
//!
//! In: the table, which says how many lines. Out: rows of it, and whether the bound was kept.
//! Does not know: how a scan is measured.

use super::cost::run;
use super::traffic::{self, Traffic};
use super::{Table, mint, scan, written};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

impl Table {
    /// Prints what forged tokens cost; false when they slow real ones by more than a fifth.
    pub(crate) fn forged(&mut self) -> io::Result<bool> {
        let settings = Path::new(env!("CARGO_TARGET_TMPDIR")).join("forged.toml");
        let keys = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/keys/public.jwks.json"
        );
        let issuer = "https://id.example.com";
        fs::write(
            &settings,
            format!("[[issuer]]\nissuer = {issuer:?}\njwks = {keys:?}\n"),
        )?;
        let sign = |claims: &str| {
            let claims = serde_json::from_str(claims).expect("claims are JSON");
            mint::mint(&claims, traffic::SIGNED_BY)
        };
        let lines = self.lines;
        let real = |lines: usize| move || Traffic::new(lines).signed(sign);
        let mut wall_s = Vec::new();
        for (name, log, lines) in [
            ("signed", written("signed", real(lines), lines)?, lines),
            (
                "signed, twice as many",
                written("signed", real(lines * 2), lines * 2)?,
                lines * 2,
            ),
            (
                "signed and forged, 1 network",
                written("forged-1", || real(lines)().with_forged(1), lines)?,
                lines * 2,
            ),
            (
                "signed and forged, 512 networks",
                written("forged-512", || real(lines)().with_forged(512), lines)?,
                lines * 2,
            ),
        ] {
            self.lines = lines;
            self.head(name, &log)?;
            let mut scan = scan("2", &log);
            let cost = run(scan.arg("--config").arg(&settings))?.ok_or(io::ErrorKind::NotFound)?;
            wall_s.push(cost.wall_s);
            self.row("tokentrip scan --jobs 2", cost)?;
        }
        let slower = wall_s[2] / wall_s[1] - 1.0;
        let percent = slower * 100.0;
        writeln!(
            self.out,
            "\nforged tokens of one network slow the line by {percent:.0} %, at most 20 %"
        )?;
        Ok(slower <= 0.2)
    }
}
