//! T20 to T28: what stands in the files.

use super::*;

#[test]
fn t20_a_partial_line_waits_for_its_end() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\npar");
    bench.poll();
    bench.append("access.log", "tial\r\n");
    bench.saw(&["one", "partial"]);
}

#[test]
fn t21_a_line_that_is_never_completed_is_told_when_its_file_is_left() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\npartial");
    bench.poll();
    bench.rename("access.log", "access.log.1");
    bench.append("access.log", "two\n");
    bench.saw(&["one", "two"]);
    bench.poll_after(40);
    assert_eq!(bench.lines, ["one", "two", "partial"]);
}

#[test]
fn t24_t25_long_lines_and_holes_are_passed_also_across_a_restart() {
    let mut bench = Bench::new("access.log", StartAt::Beginning);
    bench.append("access.log", "one\n");
    bench.append("access.log", vec![b'x'; lines::LINE_BYTES_MAX * 2]);
    bench.poll();
    bench.restart(bench.positions.clone());
    bench.append("access.log", "end\ntwo\n");
    bench.append("access.log", vec![0; lines::LINE_BYTES_MAX * 2]);
    bench.append("access.log", "three\n");
    bench.poll();
    let lengths: Vec<_> = bench.lines.iter().map(String::len).collect();
    assert_eq!(lengths, [3, lines::LINE_BYTES_MAX, 3, 5]);
}
