//! Tapes: JSON values as numbers in a row, which is what crosses to and from JavaScript at the least cost.
//!
//! A value is a mark and what belongs to it: of a text, its length and its UTF-16 code units; of a list, its values and
//! the mark [`END`]; of a map, names and values in turn, and [`END`].

use std::fmt;

use edge_credits::refusal::{Code, Refusal};
use edge_credits::value::{DEPTH_LIMIT, Value};
use serde::ser::{self, Impossible, Serialize, Serializer};

const NULL: f64 = 0.0;
const FALSE: f64 = 1.0;
const TRUE: f64 = 2.0;
const NUMBER: f64 = 3.0;
const TEXT: f64 = 4.0;
const LIST: f64 = 5.0;
const MAP: f64 = 6.0;
const END: f64 = -1.0;

/// Reads the value on a tape.
///
/// # Errors
/// `invalid_request` for one that is nested too deeply.
pub(crate) fn read(tape: &[f64]) -> Result<Value, Refusal> {
    Reader(tape)
        .value(0)
        .map_err(|detail| Refusal::new(Code::InvalidRequest, detail))
}

/// Writes a value on a tape that begins with a mark: whether the value is what was asked for, or a refusal.
pub(crate) fn write(granted: bool, value: &impl Serialize) -> Vec<f64> {
    let mut writer = Writer(vec![if granted { TRUE } else { FALSE }]);
    // Nothing that we write fails: the types that a tape cannot take are none of ours.
    let _ = value.serialize(&mut writer);
    writer.0
}

const TORN: &str = "the tape ends too early";

struct Reader<'t>(&'t [f64]);

impl Reader<'_> {
    fn next(&mut self) -> Result<f64, &'static str> {
        let (first, rest) = self.0.split_first().ok_or(TORN)?;
        self.0 = rest;
        Ok(*first)
    }

    /// The value that comes next, this deep in others.
    fn value(&mut self, depth: usize) -> Result<Value, &'static str> {
        let mark = self.next()?;
        if depth >= DEPTH_LIMIT && (mark == LIST || mark == MAP) {
            return Err("nested too deeply");
        }
        Ok(match mark {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            NUMBER => Value::Number(self.next()?),
            TEXT => Value::Text(self.text()?),
            LIST => {
                let mut items = Vec::new();
                while !self.ends() {
                    items.push(self.value(depth + 1)?);
                }
                Value::List(items)
            }
            _ => {
                let mut entries = Vec::new();
                while !self.ends() {
                    self.next()?;
                    // An object of JavaScript has no name twice.
                    entries.push((self.text()?, self.value(depth + 1)?));
                }
                Value::Map(entries)
            }
        })
    }

    /// Whether a list or a map ends here. Its end is then behind us.
    fn ends(&mut self) -> bool {
        match self.0 {
            [END, rest @ ..] => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// The text whose mark was read.
    fn text(&mut self) -> Result<String, &'static str> {
        let length = self.next()?;
        let (units, rest) = self.0.split_at_checked(length as usize).ok_or(TORN)?;
        self.0 = rest;
        // Half a surrogate pair is no text; it becomes what UTF-8 encoders make of it too.
        Ok(char::decode_utf16(units.iter().map(|unit| *unit as u16))
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect())
    }
}

struct Writer(Vec<f64>);

impl Writer {
    fn mark(&mut self, mark: f64) -> Result<&mut Self, Foreign> {
        self.0.push(mark);
        Ok(self)
    }

    fn number(&mut self, number: f64) -> Result<(), Foreign> {
        self.0.extend([NUMBER, number]);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Foreign> {
        self.mark(END).map(|_| ())
    }
}

/// What JSON has no word for. It says nothing, since nobody ever sees it, and so costs nothing.
#[derive(Debug)]
struct Foreign;

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no JSON value")
    }
}

impl std::error::Error for Foreign {}

impl ser::Error for Foreign {
    fn custom<T: fmt::Display>(_: T) -> Foreign {
        Foreign
    }
}

impl Serializer for &mut Writer {
    type Ok = ();
    type Error = Foreign;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Impossible<(), Foreign>;
    type SerializeTupleVariant = Impossible<(), Foreign>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Foreign>;

    fn serialize_bool(self, value: bool) -> Result<(), Foreign> {
        self.mark(if value { TRUE } else { FALSE }).map(|_| ())
    }
    fn serialize_i8(self, value: i8) -> Result<(), Foreign> {
        self.number(value.into())
    }
    fn serialize_i16(self, value: i16) -> Result<(), Foreign> {
        self.number(value.into())
    }
    fn serialize_i32(self, value: i32) -> Result<(), Foreign> {
        self.number(value.into())
    }
    fn serialize_i64(self, value: i64) -> Result<(), Foreign> {
        self.number(value as f64)
    }
    fn serialize_u8(self, value: u8) -> Result<(), Foreign> {
        self.number(value.into())
    }
    fn serialize_u16(self, value: u16) -> Result<(), Foreign> {
        self.number(value.into())
    }
    fn serialize_u32(self, value: u32) -> Result<(), Foreign> {
        self.number(value.into())
    }
    fn serialize_u64(self, value: u64) -> Result<(), Foreign> {
        self.number(value as f64)
    }
    fn serialize_f32(self, value: f32) -> Result<(), Foreign> {
        self.number(value.into())
    }
    fn serialize_f64(self, value: f64) -> Result<(), Foreign> {
        self.number(value)
    }
    fn serialize_char(self, value: char) -> Result<(), Foreign> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, value: &str) -> Result<(), Foreign> {
        self.0.extend([TEXT, value.encode_utf16().count() as f64]);
        self.0.extend(value.encode_utf16().map(f64::from));
        Ok(())
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<(), Foreign> {
        Err(Foreign)
    }
    fn serialize_none(self) -> Result<(), Foreign> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Foreign> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Foreign> {
        self.mark(NULL).map(|_| ())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Foreign> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<(), Foreign> {
        self.serialize_str(name)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Foreign> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Foreign> {
        Err(Foreign)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Foreign> {
        self.mark(LIST)
    }
    fn serialize_tuple(self, _: usize) -> Result<Self, Foreign> {
        self.mark(LIST)
    }
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Foreign> {
        Err(Foreign)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Foreign> {
        Err(Foreign)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self, Foreign> {
        self.mark(MAP)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Foreign> {
        self.mark(MAP)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Foreign> {
        Err(Foreign)
    }
}

impl ser::SerializeSeq for &mut Writer {
    type Ok = ();
    type Error = Foreign;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Foreign> {
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Foreign> {
        Writer::end(self)
    }
}

impl ser::SerializeTuple for &mut Writer {
    type Ok = ();
    type Error = Foreign;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Foreign> {
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Foreign> {
        Writer::end(self)
    }
}

impl ser::SerializeMap for &mut Writer {
    type Ok = ();
    type Error = Foreign;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Foreign> {
        key.serialize(&mut **self)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Foreign> {
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Foreign> {
        Writer::end(self)
    }
}

impl ser::SerializeStruct for &mut Writer {
    type Ok = ();
    type Error = Foreign;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Foreign> {
        self.serialize_str(name)?;
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Foreign> {
        Writer::end(self)
    }
}
