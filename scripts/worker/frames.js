// Texts and bytes in one piece: what goes between the Worker and an object, or into the wasm, at once. Each part is its
// length, in four bytes with the lowest first, and then itself; a length of all ones says that there is none.
// worker/src/frames.rs reads and writes the same.

const LENGTH = 4
const NONE = 0xffffffff

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Puts parts together, each a text, bytes, or null. */
export function pack(parts) {
  const all = parts.map((part) => (typeof part === 'string' ? encoder.encode(part) : part))
  const bytes = new Uint8Array(all.reduce((sum, part) => sum + LENGTH + (part?.byteLength ?? 0), 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const part of all) {
    view.setUint32(at, part?.byteLength ?? NONE, true)
    at += LENGTH
    if (part !== null) bytes.set(part, at)
    at += part?.byteLength ?? 0
  }
  return bytes
}

/** The parts, each as bytes or null. */
export function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts = []
  for (let at = 0; at < bytes.byteLength; ) {
    const length = view.getUint32(at, true)
    at += LENGTH
    parts.push(length === NONE ? null : bytes.subarray(at, at + length))
    at += length === NONE ? 0 : length
  }
  return parts
}

/** The text that these bytes are. */
export const textOf = (bytes) => decoder.decode(bytes)
