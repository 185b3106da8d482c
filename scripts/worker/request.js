// What the Rust module is told of a request: worker/src/request.rs reads it.

import * as rust from './index.js'
import { TOGETHER } from './lane.js'

/** The headers that are read of a request; nothing in the places of others. */
const named = (inObject, ofGet) => rust.headerNames(inObject, ofGet).split(',')
export const IN_WORKER = { ofGet: named(false, true), ofOther: named(false, false) }
export const IN_OBJECT = { ofGet: named(true, true), ofOther: named(true, false) }

/**
 * The longest body, in bytes: of a call, of an event of Stripe's, of what one object of ours tells another, and of calls
 * that go together.
 */
const LONGEST = 64 * 1024
const LONGEST_OF = { '/v1/webhooks/stripe': 512 * 1024, '/internal': 1024 * 1024, [TOGETHER]: 2 * 1024 * 1024 }

/** A request, of which each thing was asked once: the runtime makes a new text of it every time. */
export class Asked {
  #request
  #length

  constructor(request, { ofGet, ofOther }) {
    const { method, url, headers } = request
    const isGet = method === 'GET'
    this.#request = request
    this.#length = isGet ? null : headers.get('Content-Length')
    this.method = method
    this.path = pathOf(url)
    /** All but the body, as one text: reading it takes one crossing, and no object is made. */
    this.head = headOf(method, url, headers, isGet ? ofGet : ofOther)
  }

  /** Whether its body is known to be short enough before it is read. HTTP sees to it that it is as long as it says. */
  get isShort() {
    return this.method === 'GET' || (this.#length !== null && Number(this.#length) <= LONGEST)
  }

  /**
   * The body, or null if it is longer than it may be, or a promise of either. No more of it is read than is allowed: an
   * isolate's memory is shared by many accounts.
   */
  body() {
    if (this.method === 'GET') return null
    const longest = LONGEST_OF[this.path] ?? LONGEST
    if (this.#length !== null) return Number(this.#length) <= longest ? bytesOf(this.#request) : null
    const { body } = this.#request
    return body === null ? new Uint8Array() : readUpTo(longest, body.getReader())
  }
}

function headOf(method, url, headers, names) {
  let head = `${method}\n${url}`
  for (let index = 0; index < names.length; index++) {
    const value = names[index] === '' ? null : headers.get(names[index])
    head += value === null ? '\n' : `\n:${value}`
  }
  return head
}

const bytesOf = async (request) => new Uint8Array(await request.arrayBuffer())

/** The path of a URL that the runtime wrote: it begins with the first slash after the host. */
function pathOf(url) {
  const path = url.slice(url.indexOf('/', 'https://'.length))
  const end = path.search(/[?#]/)
  return end < 0 ? path : path.slice(0, end)
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
