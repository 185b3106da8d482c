//! Texts and bytes in one piece, as scripts/worker/frames.js has them.

/// What stands for the length of a part that there is not.
const NONE: u32 = u32::MAX;

/// Puts a part behind those that are there.
pub(crate) fn push(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    let length = part.map_or(Ok(NONE), |part| u32::try_from(part.len()));
    bytes.extend_from_slice(&length.unwrap_or(NONE).to_le_bytes());
    bytes.extend_from_slice(part.unwrap_or_default());
}

/// The parts one after another. What is cut off ends them.
pub(crate) struct Parts<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = u32::from_le_bytes(*length);
        if length == NONE {
            self.0 = rest;
            return Some(None);
        }
        let (part, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(Some(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_went_in() {
        let parts: [Option<&[u8]>; 4] = [Some(b"head"), None, Some(b""), Some(&[0xff; 5])];
        let mut bytes = Vec::new();
        for part in parts {
            push(&mut bytes, part);
        }
        assert_eq!(Parts(&bytes).collect::<Vec<_>>(), parts);
    }

    #[test]
    fn what_is_cut_off_is_no_part() {
        let mut bytes = Vec::new();
        push(&mut bytes, Some(b"whole"));
        push(&mut bytes, Some(b"cut off"));
        for length in [9, 11, 13, 19] {
            let cut = bytes.get(..length).unwrap_or_default();
            assert_eq!(Parts(cut).collect::<Vec<_>>(), [Some(b"whole".as_slice())]);
        }
    }
}
