//! Tapes: JSON values as numbers in a row, which is what crosses to and from JavaScript at the least cost.
//!
//! A value is a mark and what belongs to it: of a text, its length and its UTF-16 code units; of a list, its values and
//! the mark [`END`]; of a map, names and values in turn, and [`END`].

use edge_credits::refusal::{Code, Refusal};
use edge_credits::value::Value;
use serde::de::value::{Error, StringDeserializer};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
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
    Value::deserialize(&mut Reader(tape))
        .map_err(|error| Refusal::new(Code::InvalidRequest, error.to_string()))
}

/// Writes a value on a tape that begins with a mark: whether the value is what was asked for, or a refusal.
pub(crate) fn write(granted: bool, value: &impl Serialize) -> Vec<f64> {
    let mut writer = Writer(vec![if granted { TRUE } else { FALSE }]);
    // Nothing that we write fails: the types that a tape cannot take are none of ours.
    let _ = value.serialize(&mut writer);
    writer.0
}

struct Reader<'t>(&'t [f64]);

impl Reader<'_> {
    fn next(&mut self) -> Result<f64, Error> {
        let (first, rest) = self.0.split_first().ok_or_else(torn)?;
        self.0 = rest;
        Ok(*first)
    }

    fn text(&mut self, length: f64) -> Result<String, Error> {
        let (units, rest) = self.0.split_at_checked(length as usize).ok_or_else(torn)?;
        self.0 = rest;
        // Half a surrogate pair is no text; it becomes what UTF-8 encoders make of it too.
        Ok(char::decode_utf16(units.iter().map(|unit| *unit as u16))
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect())
    }
}

fn torn() -> Error {
    de::Error::custom("the tape ends too early")
}

impl<'de> Deserializer<'de> for &mut Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.next()? {
            NULL => visitor.visit_unit(),
            FALSE => visitor.visit_bool(false),
            TRUE => visitor.visit_bool(true),
            NUMBER => visitor.visit_f64(self.next()?),
            TEXT => {
                let length = self.next()?;
                visitor.visit_string(self.text(length)?)
            }
            LIST => visitor.visit_seq(self),
            _ => visitor.visit_map(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for &mut Reader<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if let Some((&END, rest)) = self.0.split_first() {
            self.0 = rest;
            return Ok(None);
        }
        seed.deserialize(&mut **self).map(Some)
    }
}

impl<'de> MapAccess<'de> for &mut Reader<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        match self.next()? {
            END => Ok(None),
            _ => {
                let length = self.next()?;
                seed.deserialize(StringDeserializer::new(self.text(length)?))
                    .map(Some)
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut **self)
    }
}

struct Writer(Vec<f64>);

impl Writer {
    fn mark(&mut self, mark: f64) -> Result<&mut Self, Error> {
        self.0.push(mark);
        Ok(self)
    }

    fn number(&mut self, number: f64) -> Result<(), Error> {
        self.0.extend([NUMBER, number]);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        self.mark(END).map(|_| ())
    }
}

/// What JSON has no word for.
fn foreign<T>() -> Result<T, Error> {
    Err(ser::Error::custom("no JSON value"))
}

impl Serializer for &mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.mark(if value { TRUE } else { FALSE }).map(|_| ())
    }
    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.number(value.into())
    }
    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.number(value.into())
    }
    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.number(value.into())
    }
    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.number(value as f64)
    }
    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.number(value.into())
    }
    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.number(value.into())
    }
    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.number(value.into())
    }
    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.number(value as f64)
    }
    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.number(value.into())
    }
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.number(value)
    }
    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.0.extend([TEXT, value.encode_utf16().count() as f64]);
        self.0.extend(value.encode_utf16().map(f64::from));
        Ok(())
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        foreign()
    }
    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Error> {
        self.mark(NULL).map(|_| ())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(name)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        foreign()
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Error> {
        self.mark(LIST)
    }
    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        self.mark(LIST)
    }
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        foreign()
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        foreign()
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self, Error> {
        self.mark(MAP)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        self.mark(MAP)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        foreign()
    }
}

impl ser::SerializeSeq for &mut Writer {
    type Ok = ();
    type Error = Error;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Error> {
        Writer::end(self)
    }
}

impl ser::SerializeTuple for &mut Writer {
    type Ok = ();
    type Error = Error;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Error> {
        Writer::end(self)
    }
}

impl ser::SerializeMap for &mut Writer {
    type Ok = ();
    type Error = Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        key.serialize(&mut **self)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Error> {
        Writer::end(self)
    }
}

impl ser::SerializeStruct for &mut Writer {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.serialize_str(name)?;
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Error> {
        Writer::end(self)
    }
}
