//! Work shared out among threads so that no result depends on how many there are.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs `job` for every item, on up to `threads` threads, of which the caller is one.
pub(super) fn for_each<T: Send>(
    threads: usize,
    items: impl ExactSizeIterator<Item = T> + Send,
    job: impl Fn(T) + Sync,
) {
    for_each_with(&mut vec![(); threads.clamp(1, items.len().max(1))], items, |(), item| job(item));
}

/// As [`for_each`], one thread for each of `own`, which it alone works with. Items are handed out in order.
pub(super) fn for_each_with<O: Send, T: Send>(
    own: &mut [O],
    items: impl Iterator<Item = T> + Send,
    job: impl Fn(&mut O, T) + Sync,
) {
    let items = Mutex::new(items);
    let next = || lock(&items).next();
    let work = |own: &mut O| {
        while let Some(item) = next() {
            job(own, item);
        }
    };
    let (first, rest) = own.split_first_mut().expect("at least one thread");
    if rest.is_empty() {
        return work(first);
    }
    std::thread::scope(|scope| {
        for own in rest {
            scope.spawn(|| work(own));
        }
        work(first);
    });
}

/// What the mutex guards, also after a panic, which the scope passes on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
