//! Where one message of a stream ends: octet counting, or a line feed.
//!
//! In: bytes as they arrive. Out: messages, each without its framing; the beginning of one that is too long.
//! Does not know: connections, syslog.
//! Source: RFC 6587, sections 3.4.1 (octet counting) and 3.4.2 (non-transparent framing); RFC 5425, section 4.3.

/// The longest message that is kept whole. HAProxy writes at most 64 KiB, nginx as much as a datagram holds;
/// syslog daemons cut at 8 KiB unless told otherwise.
pub(super) const MESSAGE_BYTES_MAX: usize = 128 << 10;

/// Digits of a count: more is no length of a message.
const COUNT_DIGITS_MAX: usize = 9;

/// Cuts one stream into messages. Both framings may be mixed, as some relays do.
#[derive(Debug, Default)]
pub(super) struct Framer {
    buffer: Vec<u8>,
    passing: Passing,
}

/// What is left of a message that was too long.
#[derive(Debug, Default)]
enum Passing {
    #[default]
    Nothing,
    Bytes(usize),
    ToLineEnd,
}

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Only its beginning is here.
    pub(super) cut: bool,
}

impl Framer {
    /// Takes bytes and gives the messages that are whole now.
    pub(super) fn take(&mut self, bytes: &[u8], mut give: impl FnMut(Message)) {
        self.buffer.extend_from_slice(bytes);
        while let Some(message) = self.next() {
            if !message.bytes.is_empty() {
                give(message);
            }
        }
    }

    /// What is left when the stream has ended.
    pub(super) fn finish(&mut self) -> Option<Message> {
        let buffer = std::mem::take(&mut self.buffer);
        if !matches!(self.passing, Passing::Nothing) || buffer.is_empty() {
            return None;
        }
        let counted = count(&buffer);
        let start = counted.map_or(0, |(start, _)| start);
        Some(Message {
            bytes: trimmed(buffer.get(start..)?).to_vec(),
            cut: counted.is_some(),
        })
    }

    /// True when a message has begun and its end has not come.
    pub(super) fn is_inside(&self) -> bool {
        !self.buffer.is_empty() || !matches!(self.passing, Passing::Nothing)
    }

    fn next(&mut self) -> Option<Message> {
        self.pass();
        if self.buffer.is_empty() || !matches!(self.passing, Passing::Nothing) {
            return None;
        }
        match count(&self.buffer) {
            Some((start, length)) => self.counted(start, length),
            None if may_be_count(&self.buffer) => None,
            None => self.line(),
        }
    }

    fn counted(&mut self, start: usize, length: usize) -> Option<Message> {
        let kept = length.min(MESSAGE_BYTES_MAX);
        let bytes = trimmed(self.buffer.get(start..start + kept)?).to_vec();
        self.buffer.drain(..start + kept);
        if kept < length {
            self.passing = Passing::Bytes(length - kept);
        }
        Some(Message {
            bytes,
            cut: kept < length,
        })
    }

    fn line(&mut self) -> Option<Message> {
        // A NUL instead of a line feed ends messages of some senders.
        let end = memchr::memchr2(b'\n', 0, &self.buffer);
        let (kept, cut) = match end {
            Some(end) if end <= MESSAGE_BYTES_MAX => (end, false),
            None if self.buffer.len() <= MESSAGE_BYTES_MAX => return None,
            _ => (MESSAGE_BYTES_MAX, true),
        };
        let bytes = trimmed(self.buffer.get(..kept)?).to_vec();
        self.buffer.drain(..kept + usize::from(!cut));
        if cut {
            self.passing = Passing::ToLineEnd;
        }
        Some(Message { bytes, cut })
    }

    fn pass(&mut self) {
        match self.passing {
            Passing::Nothing => {}
            Passing::Bytes(left) => {
                let passed = left.min(self.buffer.len());
                self.buffer.drain(..passed);
                self.passing = match left - passed {
                    0 => Passing::Nothing,
                    left => Passing::Bytes(left),
                };
            }
            Passing::ToLineEnd => match memchr::memchr2(b'\n', 0, &self.buffer) {
                Some(end) => {
                    self.buffer.drain(..=end);
                    self.passing = Passing::Nothing;
                }
                None => self.buffer.clear(),
            },
        }
    }
}

/// `123 <134>…`: where the message begins and how long it is. Only a priority makes a number a count: a line may begin
/// with one, too.
fn count(bytes: &[u8]) -> Option<(usize, usize)> {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let is_count = (1..=COUNT_DIGITS_MAX).contains(&digits) && bytes.first() != Some(&b'0');
    if !is_count || bytes.get(digits..digits + 2)? != b" <" {
        return None;
    }
    let length = std::str::from_utf8(bytes.get(..digits)?)
        .ok()?
        .parse()
        .ok()?;
    Some((digits + 1, length))
}

/// True while these could be the beginning of a count.
fn may_be_count(bytes: &[u8]) -> bool {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let rest = bytes.get(digits..).unwrap_or_default();
    (1..=COUNT_DIGITS_MAX).contains(&digits) && (rest.is_empty() || rest == b" ")
}

/// Without line endings, which a counted message may have, too.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    let kept = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0));
    bytes.get(..kept.map_or(0, |at| at + 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(bytes: &[u8], every: usize) -> Vec<Message> {
        let mut framer = Framer::default();
        let mut messages = Vec::new();
        for piece in bytes.chunks(every.max(1)) {
            framer.take(piece, |message| messages.push(message));
            assert!(
                framer.buffer.len() <= MESSAGE_BYTES_MAX.saturating_add(every).saturating_add(12)
            );
        }
        messages.extend(framer.finish());
        messages
    }

    fn texts(bytes: &[u8], every: usize) -> Vec<String> {
        let text = |message: Message| String::from_utf8(message.bytes).unwrap();
        framed(bytes, every).into_iter().map(text).collect()
    }

    #[test]
    fn messages_are_told_apart_by_count_or_by_line_end_however_they_arrive() {
        let stream =
            b"5 <1>a\n\n<2>b\r\n7 <3>c\nd\n1777889472 GET /\n192.0.2.1 x\n<4>last\0<5>open";
        let expected = [
            "<1>a",
            "<2>b",
            "<3>c\nd",
            "1777889472 GET /",
            "192.0.2.1 x",
            "<4>last",
            "<5>open",
        ];
        for every in [1, 2, 3, 1000] {
            assert_eq!(texts(stream, every), expected, "{every}");
        }
    }

    #[test]
    fn a_message_over_the_limit_keeps_its_beginning_and_the_next_is_whole() {
        let long = "x".repeat(MESSAGE_BYTES_MAX * 3);
        let counted = format!("{} <1>{long}6 <2>end", long.len() + 3);
        let by_line = format!("<1>{long}\n<2>end\n");
        for stream in [counted, by_line] {
            let messages = framed(stream.as_bytes(), 4096);
            assert_eq!(messages.len(), 2);
            assert!(messages[0].cut && messages[0].bytes.len() == MESSAGE_BYTES_MAX);
            assert_eq!(
                (&*messages[1].bytes, messages[1].cut),
                (&b"<2>end"[..], false)
            );
        }
    }

    #[test]
    fn what_a_connection_leaves_unfinished_is_given() {
        assert_eq!(texts(b"<1>no end", 3), ["<1>no end"]);
        let cut = framed(b"100 <1>torn", 4);
        assert_eq!((&*cut[0].bytes, cut[0].cut), (&b"<1>torn"[..], true));
        assert!(framed(b"", 1).is_empty());
    }

    proptest! {
        #[test]
        fn messages_do_not_depend_on_how_the_bytes_arrive(
            text in "([0-9]{1,3} ?<?[a-z]{0,9}\n?){0,30}", every in 1usize..20,
        ) {
            prop_assert_eq!(framed(text.as_bytes(), every), framed(text.as_bytes(), usize::MAX));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000), every in 1usize..99) {
            let _ = framed(&bytes, every);
        }
    }
}
