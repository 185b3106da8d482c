//! Numbers that callers wrote, as messages show them.

use std::fmt;

/// What a figure's decimals are counted in.
const SCALE: f64 = 1e9;
const DECIMALS: u64 = 1_000_000_000;
/// From here on a double times [`SCALE`] leaves 64 bits; no message needs to be more exact.
const TOO_LONG: f64 = 1e10;

/// A number in a message: all of it up to nine decimals, and its beginning otherwise. The standard library's way of
/// writing any double to the last digit would be a seventh of what a browser loads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure(pub(crate) f64);

impl fmt::Display for Figure {
    #[expect(
        clippy::float_arithmetic,
        reason = "the JSON boundary, and only for people"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure(number) = *self;
        if number.is_nan() {
            return f.write_str("NaN");
        }
        let sign = if number < 0.0 { "-" } else { "" };
        let size = number.abs();
        if size.is_infinite() {
            return write!(f, "{sign}inf");
        }
        if size >= TOO_LONG {
            return if size.trunc() == size && size < 1e19 {
                write!(f, "{sign}{}", size as u64)
            } else {
                write!(f, "{sign}{}…", size.min(1e19) as u64)
            };
        }
        let scaled = (size * SCALE).round();
        let parts = scaled as u64;
        write!(f, "{sign}{}", parts / DECIMALS)?;
        if !parts.is_multiple_of(DECIMALS) {
            let decimals = format!("{:09}", parts % DECIMALS);
            write!(f, ".{}", decimals.trim_end_matches('0'))?;
        }
        if scaled / SCALE != size {
            f.write_str("…")?;
        }
        Ok(())
    }
}
