//! Work that threads share, whose results come in the order of what was put in.
//!
//! In: items, one by one. Out: what was made of each, on the thread that put them in.
//! Does not know: what the work is.

use std::sync::mpsc::sync_channel;

/// Items of one thread that are under way: one that it works on, and the next ones, so that it need not wait for them.
const AHEAD: usize = 3;

/// Has `workers` threads do the `work` on what `feed` puts in, and gives the results to `take` in that order.
///
/// # Panics
/// When the work does.
pub(super) fn side_by_side<T: Send, R: Send, O>(
    workers: usize,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R),
    feed: impl FnOnce(&mut dyn FnMut(T)) -> O,
) -> O {
    std::thread::scope(|scope| {
        let work = &work;
        let lanes = (0..workers.max(1)).map(|_| {
            let (items, inbox) = sync_channel(AHEAD);
            let (outbox, results) = sync_channel(AHEAD);
            scope.spawn(move || inbox.iter().all(|item| outbox.send(work(item)).is_ok()));
            (items, results)
        });
        let lanes: Vec<_> = lanes.collect();
        let under_way_max = lanes.len() * AHEAD;
        let (mut put, mut taken) = (0, 0);
        // A thread that panicked neither takes nor gives, and is told of when the scope ends.
        let mut take_next = |taken: &mut usize| {
            let (_, results) = &lanes[*taken % lanes.len()];
            results.recv().into_iter().for_each(&mut take);
            *taken += 1;
        };
        let out = feed(&mut |item| {
            if put - taken == under_way_max {
                take_next(&mut taken);
            }
            let (items, _) = &lanes[put % lanes.len()];
            let _ = items.send(item);
            put += 1;
        });
        while taken < put {
            take_next(&mut taken);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_come_in_the_order_of_what_was_put_in_whoever_is_ready_first() {
        for workers in [0, 1, 2, 5] {
            let mut taken = Vec::new();
            let work = |n: u64| {
                std::thread::sleep(Duration::from_micros(n * 7 % 11));
                n * 2
            };
            let fed = side_by_side(
                workers,
                work,
                |result| taken.push(result),
                |put| {
                    (0..100).for_each(put);
                    "fed"
                },
            );
            assert_eq!(fed, "fed");
            assert_eq!(taken, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn work_that_panics_leaves_nobody_waiting() {
        let work = |n: u32| assert!(n < 3, "a mistake");
        side_by_side(2, work, |()| (), |put| (0..100).for_each(put));
    }
}
