//! The gate: commands that arrive while a commit is under way wait for its end, and are then written together.
//!
//! A disk takes as long to sync one entry as fifty. A lone command never waits. What goes through together still
//! goes one after another, each in a transaction of its own: a refusal or a fault of one does not touch the next.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use futures_channel::oneshot;
use worker::durable::Storage;
use worker::wasm_bindgen_futures::spawn_local;

/// The gate of one account.
#[derive(Default)]
pub(crate) struct Gate {
    is_committing: Cell<bool>,
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
}

impl Gate {
    /// Waits until no commit is under way.
    pub(crate) async fn pass(&self) {
        if !self.is_committing.get() {
            return;
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().push(sender);
        // A gate that is gone lets everyone through.
        let _ = receiver.await;
    }

    /// Says that something was written. Until it is on the disk, the gate is shut.
    pub(crate) fn shut_until_synced(self: &Rc<Gate>, storage: Rc<Storage>) {
        if self.is_committing.replace(true) {
            return;
        }
        let gate = self.clone();
        spawn_local(async move {
            loop {
                // If the disk fails, the runtime ends the object, and with it everyone who waits.
                let _ = storage.sync().await;
                let waiting = gate.waiting.take();
                if waiting.is_empty() {
                    break;
                }
                for waiter in waiting {
                    let _ = waiter.send(());
                }
                after_the_others().await;
            }
            gate.is_committing.set(false);
        });
    }
}

/// Lets all that can run do so first.
async fn after_the_others() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
