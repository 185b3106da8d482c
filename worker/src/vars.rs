//! The variables and secrets of the deployment. They do not change while an isolate has the same environment, so each
//! crosses from JavaScript once.

use std::cell::RefCell;
use std::rc::Rc;

use worker::Env;

struct Known {
    env: Env,
    texts: Vec<(&'static str, Rc<str>)>,
}

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// The text of a variable or secret, empty where there is none.
pub(crate) fn text(env: &Env, name: &'static str) -> Rc<str> {
    KNOWN.with_borrow_mut(|slot| {
        if !slot.as_ref().is_some_and(|known| *known.env == **env) {
            *slot = None;
        }
        let known = slot.get_or_insert_with(|| Known {
            env: env.clone(),
            texts: Vec::new(),
        });
        if let Some((_, text)) = known.texts.iter().find(|(known, _)| *known == name) {
            return text.clone();
        }
        let text: Rc<str> = env
            .var(name)
            .map(|value| value.to_string())
            .unwrap_or_default()
            .into();
        known.texts.push((name, text.clone()));
        text
    })
}
