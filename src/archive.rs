//! What leaves the state once it can no longer change by itself, and comes back where a command names it.
//!
//! The state stays as small as what an account has going on, however long its history is.

use crate::charge::{Charge, Standing};
use crate::grant::Grant;
use crate::hold::Hold;
use crate::ids::{ChargeId, HoldId};
use crate::usage::DayUsage;

/// A thing that has left the state, as it then was. A later record of the same thing replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A grant that has ended, or was burned to the last and never ends.
    Grant(Grant),
    /// How a charge stands that was paid late or refunded.
    Standing(Standing),
    /// A hold that is no longer open.
    Hold(Hold),
    /// A day of usage that is over.
    Day(DayUsage),
}

/// What a command names beyond the state, fetched before the decision.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The hold, if it is not open.
    pub hold: Option<Hold>,
    /// The charge, as it was made.
    pub charge: Option<Charge>,
    /// How the charge stands, if it was paid late or refunded and is not owed.
    pub standing: Option<Standing>,
    /// The grants that are not in the state.
    pub grants: Vec<Grant>,
}

/// Where records are kept. The Worker's is its database, that of the tests a few maps.
pub trait Archive {
    /// Why a record could not be read.
    type Fault;
    /// The hold of this id, as it ended.
    ///
    /// # Errors
    /// If the archive cannot be read.
    fn hold(&self, id: HoldId) -> Result<Option<Hold>, Self::Fault>;
    /// The charge of this id, as it was made.
    ///
    /// # Errors
    /// If the archive cannot be read.
    fn charge(&self, id: ChargeId) -> Result<Option<Charge>, Self::Fault>;
    /// How the charge of this id stands, if it was paid late or refunded.
    ///
    /// # Errors
    /// If the archive cannot be read.
    fn standing(&self, id: ChargeId) -> Result<Option<Standing>, Self::Fault>;
    /// The grant of this id, as it left the state.
    ///
    /// # Errors
    /// If the archive cannot be read.
    fn grant(&self, id: &str) -> Result<Option<Grant>, Self::Fault>;
}
