//! The variables, secrets and bindings of the deployment. They do not change while an isolate has the same environment,
//! so each crosses from JavaScript once.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::Env;
use worker::js_sys::Reflect;

struct Known {
    env: Env,
    texts: Vec<(&'static str, Rc<str>)>,
    bindings: Vec<(&'static str, JsValue)>,
}

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// The text of a variable or secret, empty where there is none.
pub(crate) fn text(env: &Env, name: &'static str) -> Rc<str> {
    with(env, |known| {
        remembered(&mut known.texts, name, || {
            env.var(name)
                .map(|value| value.to_string())
                .unwrap_or_default()
                .into()
        })
    })
}

/// A binding, undefined where there is none.
pub(crate) fn binding(env: &Env, name: &'static str) -> JsValue {
    with(env, |known| {
        remembered(&mut known.bindings, name, || {
            Reflect::get(env, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
        })
    })
}

/// What is known of this environment: nothing yet, if it is another than the last.
fn with<T>(env: &Env, read: impl FnOnce(&mut Known) -> T) -> T {
    KNOWN.with_borrow_mut(|slot| {
        if !slot.as_ref().is_some_and(|known| *known.env == **env) {
            *slot = None;
        }
        read(slot.get_or_insert_with(|| Known {
            env: env.clone(),
            texts: Vec::new(),
            bindings: Vec::new(),
        }))
    })
}

fn remembered<T: Clone>(
    known: &mut Vec<(&'static str, T)>,
    name: &'static str,
    look: impl FnOnce() -> T,
) -> T {
    if let Some((_, value)) = known.iter().find(|(known, _)| *known == name) {
        return value.clone();
    }
    let value = look();
    known.push((name, value.clone()));
    value
}
