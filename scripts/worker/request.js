// What the Rust module is told of a request: worker/src/request.rs reads it.

import * as rust from './index.js'

const HEADERS = rust.headerNames().split(',')

/** The longest body, in bytes: of a call, of an event of Stripe's, and of what one object of ours tells another. */
const LONGEST = 64 * 1024
const LONGEST_OF = { '/v1/webhooks/stripe': 512 * 1024, '/internal': 1024 * 1024 }

/** The path of a URL that the runtime wrote: it begins with the first slash after the host. */
export function pathOf(url) {
  const path = url.slice(url.indexOf('/', 'https://'.length))
  const end = path.search(/[?#]/)
  return end < 0 ? path : path.slice(0, end)
}

/** A request without its body, as one text: reading it takes one crossing, and no object is made. */
export function headOf({ method, url, headers }) {
  let head = `${method}\n${url}`
  for (const name of HEADERS) {
    const value = headers.get(name)
    head += value === null ? '\n' : `\n:${value}`
  }
  return head
}

/**
 * The body, or null if it is longer than it may be. No more of it is read than is allowed: an isolate's memory is shared
 * by many accounts.
 */
export async function bodyOf(request) {
  if (request.method === 'GET') return null
  const longest = LONGEST_OF[pathOf(request.url)] ?? LONGEST
  const length = request.headers.get('Content-Length')
  // HTTP sees to it that a body is as long as it says.
  if (length !== null) return Number(length) <= longest ? new Uint8Array(await request.arrayBuffer()) : null
  return request.body === null ? new Uint8Array() : readUpTo(longest, request.body.getReader())
}

/** Reads a body of unknown length, and gives up where it becomes too long. */
async function readUpTo(longest, reader) {
  const parts = []
  let length = 0
  for (;;) {
    const { value, done } = await reader.read()
    if (done) break
    length += value.byteLength
    if (length > longest) {
      reader.cancel().catch(() => {}) // What is left of it is not waited for.
      return null
    }
    parts.push(value)
  }
  const body = new Uint8Array(length)
  let end = 0
  for (const part of parts) {
    body.set(part, end)
    end += part.byteLength
  }
  return body
}
