//! Shortening a list of steps that breaks a law.

use crate::step::Step;

/// A list from which no step can be left out any more, or none of a run of them.
pub fn shortest(steps: &[Step], still_breaks: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut steps = steps.to_vec();
    let mut length = steps.len().div_ceil(2);
    while length > 0 {
        let mut from = 0;
        let mut shortened = false;
        while from < steps.len() {
            let until = (from + length).min(steps.len());
            let without = [&steps[..from], &steps[until..]].concat();
            if still_breaks(&without) {
                steps = without;
                shortened = true;
            } else {
                from = until;
            }
        }
        // Single steps are tried again until none can go: what was needed for another may not be any more.
        if length > 1 || !shortened {
            length /= 2;
        }
    }
    steps
}
