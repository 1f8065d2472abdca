//! Documents that hold many records, as clouds deliver them in one line of many megabytes: cut into lines while they
//! are read.
//!
//! In: any [`Read`]. Out: the same bytes, as many of them, so that every record keeps its offset: around records there
//! are blanks, between them line feeds, and in a record that was printed over several lines blanks for line feeds.
//! A source that does not begin with such a document is passed on as it is.
//! Does not know: what a record says. What follows a document and is none is passed on; a document that breaks off
//! ends with its line.
//! Source: AWS, "CloudTrail log file examples" (`Records`); AWS CLI, `logs filter-log-events` (`events`); Microsoft,
//! "Azure resource logs" (`records`), "Microsoft Graph list" (`value` after `@odata`); Google, `gcloud logging read
//! --format=json`, and Okta's System Log API (an array).

use super::lines::BYTE_ORDER_MARK;
use std::io::{self, Read};

/// The members in which documents keep their records.
const NAMES: [&[u8]; 5] = [b"Records", b"records", b"events", b"Events", b"value"];

/// Longest beginning of a document: an address in `@odata.context` has some hundred bytes.
const OPENING_BYTES_MAX: usize = 1024;

/// Bytes of one read: a file system's and a pipe's usual largest.
const READ_BYTES: usize = 64 << 10;

/// Reads a source with its documents cut into lines.
pub struct Records<R> {
    reader: R,
    state: State,
    /// What was read last: given, then cut and not given, then too short to tell what it is.
    bytes: Vec<u8>,
    given: usize,
    cut: usize,
    begun: bool,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a line that may begin a document.
    LineStart,
    /// In a line that is none.
    Line,
    /// Among the records, in one of them if the depth is not 0.
    Inside { depth: u32, text: Text },
    /// After the last record.
    Closing,
    /// The source began with something else, so no line of it is looked at.
    Plain,
}

/// Where in a record's strings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Within,
    Escape,
}

/// What bytes at the beginning of a line are.
enum Opening {
    /// Of a document whose records begin after that many.
    Of(usize),
    /// Too few to tell.
    Unknown,
    Not,
}

impl<R: Read> Records<R> {
    /// A reader of `reader` from its beginning.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            state: State::LineStart,
            bytes: Vec::new(),
            given: 0,
            cut: 0,
            begun: false,
            ended: false,
        }
    }

    /// Reads more, and cuts what can be cut.
    fn fill(&mut self) -> io::Result<()> {
        self.bytes.drain(..self.given);
        (self.given, self.cut) = (0, 0);
        let known = self.bytes.len();
        self.bytes.resize(known + READ_BYTES, 0);
        let read = self.reader.read(&mut self.bytes[known..]);
        self.bytes.truncate(known + read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        self.cut = self.cut_all(&mut bytes);
        self.bytes = bytes;
        Ok(())
    }

    /// Gives how many bytes that are.
    fn cut_all(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let here = &mut bytes[at..];
            at += match self.state {
                State::Plain => here.len(),
                State::Line => self.pass_line(here),
                State::Inside { depth, text } => self.cut_inside(here, depth, text),
                State::LineStart | State::Closing => match self.open_document(here) {
                    0 => return at,
                    bytes => bytes,
                },
            };
        }
        at
    }

    /// At least one byte; 0 when there are too few to tell.
    fn open_document(&mut self, bytes: &mut [u8]) -> usize {
        let closing = self.state == State::Closing;
        match (closing, bytes[0]) {
            (true, b'\n') => self.state = State::LineStart,
            (true, b' ' | b'\t' | b'\r') => {}
            (true, b'}') => bytes[0] = b' ',
            (true, b',') => (bytes[0], self.state) = (b'\n', State::Line),
            _ => return self.begin_line(bytes, closing),
        }
        1
    }

    fn begin_line(&mut self, bytes: &mut [u8], closing: bool) -> usize {
        let opening = match opening(bytes) {
            Opening::Unknown if self.ended || bytes.len() >= OPENING_BYTES_MAX => Opening::Not,
            known => known,
        };
        match opening {
            Opening::Unknown => 0,
            Opening::Not => {
                self.state = if self.begun {
                    State::Line
                } else {
                    State::Plain
                };
                self.begun = true;
                1
            }
            Opening::Of(length) => {
                self.begun = true;
                bytes[..length].fill(b' ');
                if closing {
                    bytes[0] = b'\n';
                }
                self.state = State::Inside {
                    depth: 0,
                    text: Text::Outside,
                };
                length
            }
        }
    }

    fn pass_line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        if end.is_some() {
            self.state = State::LineStart;
        }
        end.map_or(bytes.len(), |end| end + 1)
    }

    fn cut_inside(&mut self, bytes: &mut [u8], mut depth: u32, mut text: Text) -> usize {
        for (at, byte) in bytes.iter_mut().enumerate() {
            match (text, *byte) {
                // No JSON has a line feed in a string: whatever this was, it ends here.
                (Text::Within | Text::Escape, b'\n') => {
                    self.state = State::LineStart;
                    return at + 1;
                }
                (Text::Escape, _) => text = Text::Within,
                (Text::Within, b'\\') => text = Text::Escape,
                (Text::Within, b'"') => text = Text::Outside,
                (Text::Within, _) => {}
                (Text::Outside, b'"') => text = Text::Within,
                (Text::Outside, b'\n' | b'\r') => *byte = b' ',
                (Text::Outside, b',') if depth == 0 => *byte = b'\n',
                (Text::Outside, b'{' | b'[') => depth = depth.saturating_add(1),
                (Text::Outside, b']') if depth == 0 => {
                    *byte = b' ';
                    self.state = State::Closing;
                    return at + 1;
                }
                (Text::Outside, b'}' | b']') => depth = depth.saturating_sub(1),
                (Text::Outside, _) => {}
            }
        }
        self.state = State::Inside { depth, text };
        bytes.len()
    }
}

impl<R: Read> Read for Records<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.cut {
            if self.state == State::Plain && self.cut == self.bytes.len() {
                if self.cut > 0 {
                    (self.bytes, self.given, self.cut) = (Vec::new(), 0, 0); // never used again
                }
                return self.reader.read(buffer);
            }
            if self.ended && self.cut == self.bytes.len() {
                return Ok(0);
            }
            self.fill()?;
        }
        let ready = &self.bytes[self.given..self.cut];
        let given = ready.len().min(buffer.len());
        buffer[..given].copy_from_slice(&ready[..given]);
        self.given += given;
        Ok(given)
    }
}

/// True for bytes that begin a document of many records.
pub fn begin_document(head: &[u8]) -> bool {
    matches!(opening(head), Opening::Of(_))
}

/// What stands at the beginning of a line.
fn opening(bytes: &[u8]) -> Opening {
    let mut scan = Scan {
        bytes,
        at: bytes.starts_with(BYTE_ORDER_MARK) as usize * BYTE_ORDER_MARK.len(),
    };
    match scan.opening() {
        Some(true) => Opening::Of(scan.at),
        Some(false) => Opening::Not,
        None => Opening::Unknown,
    }
}

/// Reads the beginning of a document; `None` where the bytes end too early.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// Stops behind the bracket before the first record.
    fn opening(&mut self) -> Option<bool> {
        let in_object = self.next()? == b'{';
        if in_object {
            loop {
                self.at += 1;
                let Some(name) = self.string()? else {
                    return Some(false);
                };
                if self.next()? != b':' {
                    return Some(false);
                }
                self.at += 1;
                if NAMES.contains(&name) {
                    break;
                }
                if !name.starts_with(b"@odata.") || self.string()?.is_none() {
                    return Some(false);
                }
                if self.next()? != b',' {
                    return Some(false);
                }
            }
        }
        if self.next()? != b'[' {
            return Some(false);
        }
        self.at += 1;
        let behind = self.at;
        let first = self.next()?;
        self.at = behind;
        // Without a name before it, an empty array may be anything.
        Some(first == b'{' || (in_object && first == b']'))
    }

    /// The next byte that is no white space, which stays the next.
    fn next(&mut self) -> Option<u8> {
        let rest = self.bytes.get(self.at..)?;
        self.at += rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        self.bytes.get(self.at).copied()
    }

    /// The string that comes next, if one does; these names and values have no escapes.
    fn string(&mut self) -> Option<Option<&'a [u8]>> {
        if self.next()? != b'"' {
            return Some(None);
        }
        let inside = self.bytes.get(self.at + 1..)?;
        let length = memchr::memchr(b'"', inside)?;
        self.at += length + 2;
        Some(inside.get(..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes a few at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            (&mut self.0).take(self.1 as u64).read(buffer)
        }
    }

    fn read(text: &[u8], piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reader = Records::new(Pieces(text, piece));
        reader.read_to_end(&mut out).unwrap();
        out
    }

    /// The lines in it that are not blank, trimmed, each found at its own offset in the text.
    fn lines(text: &str) -> Vec<String> {
        let out = String::from_utf8(read(text.as_bytes(), 7)).unwrap();
        assert_eq!(out.len(), text.len());
        let lines = out.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn the_records_of_every_kind_of_document_are_lines() {
        let records = [r#"{"a":[1,{"b":2}],"c":"],[{\\\""}"#, r#"{"d":{}}"#];
        let joined = records.join(",");
        for (before, after) in [
            (r#"{"Records":["#, "]}"),
            (r#"{"records": ["#, "]}\n"),
            (r#"{ "events" :[ "#, r#"],"nextToken":"f/3"}"#),
            (
                r#"{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata","value":["#,
                "]}",
            ),
            ("[", "]"),
            ("\u{feff}\r\n [\r\n", "\r\n]\r\n"),
        ] {
            let found = lines(&format!("{before}{joined}{after}"));
            assert_eq!(found[..2], records, "{before}");
            assert!(found.len() == 2 || found[2].contains("nextToken"));
        }
    }

    #[test]
    fn a_record_over_several_lines_is_one_and_keeps_its_offset() {
        let text = "[\n  {\n    \"a\": 1\n  },\n  {\"b\": 2}\n]\n";
        assert_eq!(lines(text), ["{     \"a\": 1   }", "{\"b\": 2}"]);
        let out = read(text.as_bytes(), 3);
        assert_eq!(&out[4..5], b"{");
        let second = text.find("{\"b").unwrap();
        assert_eq!(&out[second..second + 4], b"{\"b\"");
    }

    #[test]
    fn documents_one_after_another_and_lines_after_them_are_all_read() {
        let text = concat!(
            r#"{"Records":[{"a":1},{"b":2}]}{"Records":[{"c":3}]}"#,
            "\n{\"Records\":[]}\n{\"plain\":\"[{,}]\"}\n",
            "{\"Records\":[{\"d\":4}]}\n[{\"broken\":\"x\n{\"e\":5},{}\n",
        );
        let expected = [
            r#"{"a":1}"#,
            r#"{"b":2}"#,
            r#"{"c":3}"#,
            r#"{"plain":"[{,}]"}"#,
            r#"{"d":4}"#,
            r#"{"broken":"x"#,
            r#"{"e":5},{}"#,
        ];
        assert_eq!(lines(text), expected);
    }

    #[test]
    fn other_logs_are_passed_on_as_they_are() {
        for text in [
            "",
            "[",
            " \n\n",
            "{\"Records\"",
            "[04/May/2026:10:11:12 +0000] - 200\n",
            "{\"time\":1,\"events\":[{\"a\":1},{\"b\":2}]}\n[{\"a\":1},{\"b\":2}]\n",
            "{\"Records\":7}\n",
            "{\"@odata.context\":1}",
            "[1,2]\n[{\"a\":1},{}]\n",
        ] {
            assert_eq!(read(text.as_bytes(), 1), text.as_bytes());
        }
        let blank = vec![b' '; 5000];
        assert_eq!(read(&blank, 100), blank);
    }

    proptest! {
        #[test]
        fn no_byte_is_added_or_lost_and_reads_of_any_size_give_the_same(
            text in r#"(\{"Records":\[|\[|\{|\}|\]|,|"|\\|\n| |a|"value":|é){0,60}"#,
            piece in 1usize..9,
        ) {
            let out = read(text.as_bytes(), piece);
            prop_assert_eq!(out.len(), text.len());
            prop_assert_eq!(&out, &read(text.as_bytes(), 100_000));
            let is_changed = |(before, after): (u8, &u8)| {
                before == *after || matches!(after, b' ' | b'\n')
            };
            prop_assert!(text.bytes().zip(&out).all(is_changed));
        }
    }
}
