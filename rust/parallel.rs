//! Items of work on several threads, each thread with a state of its own.
//!
//! Threads live for the call, so a forked process finds none missing. They take items in turn; the
//! calling thread polls beside them. An error of one item ends the others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Poll, Result};

/// How often the calling thread looks whether to go on.
const POLL: Duration = Duration::from_millis(50);

/// Runs `work` on every item with its number, on a thread for each state; with one state, or one
/// item, on the calling thread.
///
/// # Errors
/// What `poll` says, or the first of what the items say.
pub fn each<I: Sync, S: Send>(
    items: &[I],
    states: &mut [S],
    poll: Poll<'_>,
    work: impl Fn(&mut S, usize, &I, Poll<'_>) -> Result<()> + Sync,
) -> Result<()> {
    let workers = states.len().min(items.len());
    if workers <= 1 {
        let Some(state) = states.first_mut() else { return Ok(()) };
        return items.iter().enumerate().try_for_each(|(at, item)| work(state, at, item, poll));
    }
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let finished = AtomicUsize::new(0);
    let failed: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let caller = thread::current();
    let run = |state: &mut S| {
        let _leave = Leave { finished: &finished, caller: &caller };
        let mut go_on = || match stop.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        };
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            if let Err(error) = work(state, at, item, &mut go_on) {
                stop.store(true, Ordering::Relaxed);
                keep_first(&failed, at, error);
            }
        }
    };
    thread::scope(|scope| {
        for state in &mut states[..workers] {
            let run = &run;
            scope.spawn(move || run(state));
        }
        let mut polled = Ok(());
        while polled.is_ok() && finished.load(Ordering::Acquire) < workers {
            thread::park_timeout(POLL);
            polled = poll().inspect_err(|_| stop.store(true, Ordering::Relaxed));
        }
        polled
    })?;
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(Ok(()), |(_, error)| Err(error))
}

/// Keeps the error of the first item; that an item was interrupted by another's is not told.
fn keep_first(failed: &Mutex<Option<(usize, Error)>>, at: usize, error: Error) {
    let mut kept = failed.lock().unwrap_or_else(PoisonError::into_inner);
    let later = match &*kept {
        None | Some((_, Error::Interrupted)) => true,
        Some((before, _)) => error != Error::Interrupted && at < *before,
    };
    if later {
        *kept = Some((at, error));
    }
}

/// Tells the caller that a worker has ended, however it ended.
struct Leave<'a> {
    finished: &'a AtomicUsize,
    caller: &'a thread::Thread,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.finished.fetch_add(1, Ordering::Release);
        self.caller.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        let items: Vec<usize> = (0..1000).collect();
        for threads in [1, 2, 7] {
            let mut states = vec![Vec::new(); threads];
            let work = |state: &mut Vec<usize>, at: usize, item: &usize, _: Poll<'_>| {
                state.push(at + item);
                Ok(())
            };
            each(&items, &mut states, &mut || Ok(()), work).expect("nothing fails");
            let mut seen = states.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..2000).step_by(2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_is_told_and_ends_the_rest() {
        let items = vec![(); 1000];
        for threads in [1, 3] {
            let failing = |_: &mut (), at: usize, _: &(), poll: Poll<'_>| {
                poll()?;
                if at == 5 { Err(Error::Data("five".into())) } else { Ok(()) }
            };
            let told = each(&items, &mut vec![(); threads], &mut || Ok(()), failing);
            assert_eq!(told, Err(Error::Data("five".into())));
            let stopped = each(&items, &mut vec![(); threads], &mut || Err(Error::Interrupted), {
                |_: &mut (), _, _: &(), poll: Poll<'_>| {
                    thread::sleep(Duration::from_millis(1));
                    poll()
                }
            });
            assert_eq!(stopped, Err(Error::Interrupted));
        }
    }
}
