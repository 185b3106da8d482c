//! Faults on purpose: where the variable `FAULTS` is `on`, which only tests say, a request's header `Inject-Fault`
//! names what is to go wrong with it inside the object. Without the variable the header is ignored, and looking costs
//! one comparison.

use std::cell::Cell;

use edge_credits::refusal::{Code, Refusal};
use worker::{Env, SqlStorage};

use crate::problem::Problem;
use crate::request::{Header, Headers};
use crate::vars;

/// What goes wrong, and where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An error when all is decided and nothing written.
    BeforeWrite,
    /// An error when all is written and not yet committed.
    InTransaction,
    /// A statement that the database refuses, at the same place.
    StorageError,
    /// An error when all is committed and in memory.
    AfterWrite,
    /// A panic when all is decided and nothing written.
    Panic,
    /// A panic when all is written and not yet committed.
    PanicInTransaction,
    /// A panic when all is committed and in memory.
    PanicAfterWrite,
}

const NAMES: [(&str, Fault); 7] = [
    ("before-write", Fault::BeforeWrite),
    ("in-transaction", Fault::InTransaction),
    ("storage-error", Fault::StorageError),
    ("after-write", Fault::AfterWrite),
    ("panic", Fault::Panic),
    ("panic-in-transaction", Fault::PanicInTransaction),
    ("panic-after-write", Fault::PanicAfterWrite),
];

thread_local! {
    static ALLOWED: Cell<bool> = const { Cell::new(false) };
    static ARMED: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Learns whether faults may be asked for here.
pub(crate) fn learn(env: &Env) {
    ALLOWED.set(&*vars::text(env, "FAULTS") == "on");
}

/// Reads what is to go wrong with a request. What follows must not await: the fault is of one step.
///
/// # Errors
/// `invalid_request` for a fault that there is not.
pub(crate) fn arm(headers: &Headers) -> Result<(), Problem> {
    if !ALLOWED.get() {
        return Ok(());
    }
    let fault = match headers.get(Header::InjectFault) {
        None => None,
        Some(name) => {
            let known = NAMES.iter().find(|(known, _)| *known == name);
            let refuse =
                || Refusal::new(Code::InvalidRequest, format!("there is no fault `{name}`"));
            Some(known.ok_or_else(refuse)?.1)
        }
    };
    ARMED.set(fault);
    Ok(())
}

/// The place where all is decided and nothing written.
pub(crate) fn before_write() -> Result<(), Problem> {
    fail(Fault::BeforeWrite, Fault::Panic)
}

/// The place where all is written and not yet committed.
pub(crate) fn in_transaction(sql: &SqlStorage) -> Result<(), Problem> {
    if ARMED.get() == Some(Fault::StorageError) {
        ARMED.set(None);
        sql.exec("INSERT INTO no_such_table VALUES (1)", None)?;
    }
    fail(Fault::InTransaction, Fault::PanicInTransaction)
}

/// The place where all is committed and in memory.
pub(crate) fn after_write() -> Result<(), Problem> {
    fail(Fault::AfterWrite, Fault::PanicAfterWrite)
}

#[expect(clippy::panic, reason = "the one that tests ask for")]
fn fail(error: Fault, panic: Fault) -> Result<(), Problem> {
    match ARMED.get() {
        Some(fault) if fault == error => {
            ARMED.set(None);
            Err(Problem::Fault("a fault that was asked for".to_owned()))
        }
        Some(fault) if fault == panic => panic!("a panic that was asked for"),
        _ => Ok(()),
    }
}
