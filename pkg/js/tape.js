// Values cross to wasm and back as numbers in a row; pkg/src/tape.rs says how, and reads and writes the same.

import { EdgeCreditsError } from './error.js'

const NULL = 0
const FALSE = 1
const TRUE = 2
const NUMBER = 3
const TEXT = 4
const LIST = 5
const MAP = 6
const END = -1

/** Ends what refers to itself. The core's own limit is lower, and says no to what gets past this one. */
const DEPTH_LIMIT = 64

/** What a value is where JSON has no word for it. A number that is none is refused wherever it stands. */
const NO_JSON = NaN

/**
 * The tape of a value. As in JSON, fields that are undefined are left out; unlike there, what JSON cannot say is kept
 * as something that the core refuses. `code` is the code of the error for what is nested too deeply.
 */
export function toTape(value, code = 'invalid_request') {
  const tape = []
  write(tape, value, 0, code)
  return tape
}

function write(tape, value, depth, code) {
  if (depth > DEPTH_LIMIT) throw new EdgeCreditsError({ code, detail: 'nested too deeply' })
  if (value === null || value === undefined) tape.push(NULL)
  else if (typeof value === 'number') tape.push(NUMBER, value)
  else if (typeof value === 'boolean') tape.push(value ? TRUE : FALSE)
  else if (typeof value === 'string') writeText(tape, value)
  else if (Array.isArray(value)) {
    tape.push(LIST)
    for (let place = 0; place < value.length; place++) write(tape, value[place], depth + 1, code)
    tape.push(END)
  } else if (Object.prototype.toString.call(value) === '[object Object]') {
    tape.push(MAP)
    for (const name of Object.keys(value)) {
      const field = value[name]
      if (field === undefined) continue
      writeText(tape, name)
      write(tape, field, depth + 1, code)
    }
    tape.push(END)
  } else tape.push(NUMBER, NO_JSON)
}

function writeText(tape, text) {
  tape.push(TEXT, text.length)
  for (let place = 0; place < text.length; place++) tape.push(text.charCodeAt(place))
}

/** What wasm answered: a value, or a refusal, which is thrown. */
export function fromTape(tape) {
  const reader = { tape, place: 1 }
  const value = read(reader)
  if (tape[0] === TRUE) return value
  const [code, detail, field] = value
  throw new EdgeCreditsError({ code, detail, field })
}

function read(reader) {
  const { tape } = reader
  switch (tape[reader.place++]) {
    case NULL: return null
    case FALSE: return false
    case TRUE: return true
    case NUMBER: return tape[reader.place++]
    case TEXT: return readText(reader)
    case LIST: {
      const list = []
      while (tape[reader.place] !== END) list.push(read(reader))
      reader.place++
      return list
    }
    case MAP: {
      const map = {}
      while (tape[reader.place] !== END) define(map, read(reader), read(reader))
      reader.place++
      return map
    }
  }
}

function readText(reader) {
  const end = reader.place + 1 + reader.tape[reader.place]
  let text = ''
  for (let place = reader.place + 1; place < end; place++) text += String.fromCharCode(reader.tape[place])
  reader.place = end
  return text
}

function define(map, name, value) {
  if (name === '__proto__') {
    Object.defineProperty(map, name, { value, configurable: true, enumerable: true, writable: true })
  } else map[name] = value
}
