//! Invitations: who was invited, and whom an account has invited (guide, FAQ 6: *friend invitation rewards*).

use serde::{Deserialize, Serialize};

use crate::command::NewGrant;
use crate::credits::Credits;
use crate::entry::Source;
use crate::grant::{DEFAULT_PRIORITY, GrantKind};
use crate::refusal::{Code, Refusal};
use crate::time::{DAY_MS, Instant};

/// The most redemptions of its code that an account is rewarded for.
pub const MOST_REWARDED: usize = 20;
/// What either side gets, in whole credits.
const REWARD: i64 = 500;
/// How long the reward lives: 7 days.
const REWARD_MS: i64 = 7 * DAY_MS;

/// The length of a code: 60 bits that nobody guesses.
const CODE_LENGTH: usize = 12;
/// Crockford's base 32: no letter looks like a digit, and no word comes out of it.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// An account's part in invitations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitations {
    /// The code that it redeemed, if it was invited.
    pub redeemed: Option<String>,
    /// The redemptions of its own code that it was rewarded for, oldest first.
    pub rewarded: Vec<String>,
}

impl Invitations {
    /// Whether it has nothing to do with any.
    pub fn is_empty(&self) -> bool {
        self.redeemed.is_none() && self.rewarded.is_empty()
    }

    /// Whether a reward for this is still to be given; not if it was given already.
    ///
    /// # Errors
    /// `invitation_already_redeemed` for the second code, `invitation_exhausted` for one redemption too many.
    pub(crate) fn may_take(&self, source: &Source) -> Result<bool, Refusal> {
        match source {
            Source::Invited { .. } if self.redeemed.is_some() => {
                let detail =
                    "the account has redeemed an invitation before: it can be invited once";
                Err(Refusal::new(Code::InvitationAlreadyRedeemed, detail))
            }
            Source::Inviting { redemption } if self.rewarded.contains(redemption) => Ok(false),
            Source::Inviting { .. } if self.rewarded.len() >= MOST_REWARDED => Err(exhausted()),
            _ => Ok(true),
        }
    }
}

/// The refusal for a code that has rewarded its owner as often as can be.
pub fn exhausted() -> Refusal {
    let detail = format!("the inviter has been rewarded {MOST_REWARDED} times, which is the most");
    Refusal::new(Code::InvitationExhausted, detail)
}

/// What either side gets.
pub fn reward(now: Instant) -> NewGrant {
    NewGrant {
        kind: GrantKind::Invitation,
        credits: Credits::whole(REWARD),
        category: GrantKind::Invitation.category(),
        priority: DEFAULT_PRIORITY,
        scope: None,
        effective_at: None,
        expires_at: Some(now.after_millis(REWARD_MS)),
    }
}

/// The code that these random-looking bytes make, of which the first 60 bits count.
pub fn code(bytes: &[u8; 32]) -> String {
    let bits = bytes
        .iter()
        .take(8)
        .fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    (0..CODE_LENGTH)
        .filter_map(|place| {
            let shift = 59_u32.saturating_sub(5_u32.saturating_mul(u32::try_from(place).ok()?));
            let digit = usize::try_from((bits >> shift) & 31).ok()?;
            ALPHABET.get(digit).map(|byte| char::from(*byte))
        })
        .collect()
}

/// A code as it was read off a screen: in either case, with dashes and spaces, and with letters that look like
/// digits. Nothing if it can be none.
pub fn read_code(text: &str) -> Option<String> {
    let code: String = text
        .chars()
        .filter(|character| !matches!(character, '-' | ' '))
        .map(|character| match character.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    let legal = code.bytes().all(|byte| ALPHABET.contains(&byte));
    (legal && code.len() == CODE_LENGTH).then_some(code)
}
