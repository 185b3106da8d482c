//! The pure core of Edge Credits.
//!
//! It prices model calls and decides what happens to an account's credits. It does no I/O, reads no clock,
//! draws no random numbers and knows nothing of JavaScript: the same inputs give the same answer, to the
//! last digit, natively, in the Worker and in the browser.
//!
//! The modules, in reading order: what everything is made of; what a call costs; what an account is made of;
//! what happens to it; what callers see.

// What everything is made of.
pub mod credits;
mod figure;
pub mod ids;
pub mod refusal;
pub mod time;
pub mod value;

// What a call costs.
pub mod catalog;
pub mod catalogs;
pub mod meter;
pub mod model;
pub mod pack;
pub mod plan;
pub mod price;
pub mod promotion;
pub mod rate;
pub mod request;
pub mod usage_format;

// What an account is made of.
pub mod account;
pub mod alert;
pub mod archive;
pub mod calendar;
pub mod charge;
pub mod entry;
pub mod grant;
pub mod hold;
pub mod invitation;
pub mod limit;
pub mod spending;
pub mod usage;

// What happens to it.
mod apply;
pub mod command;
mod correct;
pub mod decide;
mod draft;
pub mod due;
pub mod retry;
mod spend;

// What callers see.
pub mod answer;
pub mod estimate;
pub mod explain;
pub mod snapshot;
pub mod view;

pub use correct::charge_not_found;
pub use spend::hold_not_found;
