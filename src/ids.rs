//! Names of things in an account's journal. To callers they are opaque text.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An id that is made of the number of the entry that created the thing.
macro_rules! numbered {
    ($name:ident, $prefix:literal, $what:literal) => {
        #[doc = concat!("The id of ", $what, ": the number of the entry that made it.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// Reads an id as callers write it; nothing if it can be none.
            pub fn parse(text: &str) -> Option<$name> {
                let digits = text.strip_prefix(concat!($prefix, "_"))?;
                let canonical = digits.bytes().all(|byte| byte.is_ascii_digit())
                    && !digits.starts_with('0')
                    && digits.len() <= 16;
                if canonical {
                    digits.parse().ok().map($name)
                } else {
                    None
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = String::deserialize(deserializer)?;
                $name::parse(&text).ok_or_else(|| de::Error::custom("not an id"))
            }
        }
    };
}

numbered!(EntryId, "entry", "an entry of the journal");
numbered!(HoldId, "hold", "a hold");
numbered!(ChargeId, "charge", "a charge");
numbered!(RefundId, "refund", "a refund");

/// The id of a grant. Those of a plan's allowances are made of the plan and of the instant at which the day or
/// period began, so that a read can name a grant before it is written.
pub type GrantId = String;
