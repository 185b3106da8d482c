//! How a call of JavaScript is answered: at once where nothing has to be awaited, which is nearly always, and else by a
//! promise. Waking a future by way of the event loop costs more than most calls do.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::future_to_promise;

/// What the future comes to, or a promise of it.
pub(crate) fn run(future: impl Future<Output = JsValue> + 'static) -> JsValue {
    let mut future = Box::pin(future);
    // Nobody needs to be woken: what is not ready now is asked again at once, by the promise.
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => future_to_promise(async move { Ok(future.await) }).into(),
    }
}
