// The way from this isolate to an account's object. A few calls go side by side, each as it came. Those that come while
// so many are under way wait, and go together, in one request: the way costs more than most calls do, and an object
// takes about a thousand requests a second.
//
// What goes together is still carried out one after another, each call by itself (worker/src/together.rs).

import { answer } from './answer.js'
import { pack, textOf, unpack } from './frames.js'

/** Where an object takes calls that go together; the Worker forwards no request to it. */
export const TOGETHER = '/together'

/** How many calls go side by side before others wait. */
const SIDE_BY_SIDE = 4
/** If so many went together, others are expected, and none goes by itself until fewer do. */
const CROWD = 4
/** How many such requests go side by side: one is carried out while the next gathers. */
const CROWDS_SIDE_BY_SIDE = 2
/** How long the first of a crowd waits for others, in milliseconds. */
const GATHER_MS = 1
/** How many calls go together, and about how many bytes. */
const MOST_CALLS = 64
const MOST_BYTES = 512 * 1024
/** How often a request takes others along before it leaves that to those who come after it. */
const MOST_TRIPS = 16
/**
 * When a call that heard nothing goes by itself, in milliseconds. The request that took it along may have been ended by
 * the runtime. Sent twice, a call has its effect once: only such calls go together.
 */
const PATIENCE_MS = 5_000

/** The lanes that were in use, by account. When there are so many, those that no longer are make room. */
const lanes = new Map()
const MOST_LANES = 1_000

/** The lane to the object of an account. */
export function laneTo(account) {
  const known = lanes.get(account)
  if (known !== undefined && !known.isStale()) return known
  if (lanes.size >= MOST_LANES) for (const [account, lane] of lanes) if (lane.isDeserted() || lane.isStale()) lanes.delete(account)
  const lane = new Lane()
  lanes.set(account, lane)
  return lane
}

class Lane {
  #underWay = 0
  #waiting = []
  #isCrowded = false
  #isLost = false
  /** When somebody last came back, in milliseconds. */
  #lastSeen = Date.now()

  /** Whether a call is to wait, and go together with others. */
  isBusy() {
    return this.#isCrowded || this.#underWay >= SIDE_BY_SIDE
  }

  /** Whether whoever counts as under way may have been ended, and will never come back. */
  isStale() {
    return this.#isLost || Date.now() - this.#lastSeen > PATIENCE_MS
  }

  isDeserted() {
    return this.#underWay === 0 && this.#waiting.length === 0
  }

  /** Sends a request as it is. When it is back, whoever waits is taken along. */
  async pass(object, request, context) {
    this.#underWay++
    try {
      return await object.fetch(request)
    } finally {
      if (this.#waiting.length > 0) context.waitUntil(this.#takeOthers(object))
      else this.#leave()
    }
  }

  /** Waits, and goes together with others: the answer, or nothing if nobody took the call along. */
  async join(head, body, object, context) {
    const { promise, resolve, reject } = Promise.withResolvers()
    const call = { head, body, resolve, reject }
    this.#waiting.push(call)
    if (this.#underWay < CROWDS_SIDE_BY_SIDE) {
      this.#underWay++
      context.waitUntil(scheduler.wait(GATHER_MS).then(() => this.#takeOthers(object)))
    }
    // It also is what this request waits for: one that waits only for another request is ended by the runtime.
    const timer = setTimeout(() => {
      this.#waiting = this.#waiting.filter((other) => other !== call)
      this.#isLost = true
      resolve(null)
    }, PATIENCE_MS)
    try {
      const parts = await promise
      return parts && answerOf(parts)
    } finally {
      clearTimeout(timer)
    }
  }

  async #takeOthers(object) {
    // The last one under way goes on for as long as anyone waits.
    for (let trip = 0; this.#waiting.length > 0 && (trip < MOST_TRIPS || this.#underWay === 1); trip++) {
      const calls = this.#next()
      this.#isCrowded = calls.length >= CROWD
      await this.#take(calls, object)
    }
    this.#leave()
  }

  #leave() {
    this.#underWay--
    this.#lastSeen = Date.now()
  }

  /** Those who go next: as many as one request takes. */
  #next() {
    let bytes = 0
    const isTooMany = ({ head, body }, index) => {
      bytes += head.length + (body?.byteLength ?? 0)
      return index >= MOST_CALLS || (index > 0 && bytes > MOST_BYTES)
    }
    const end = this.#waiting.findIndex(isTooMany)
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end)
  }

  async #take(calls, object) {
    try {
      const body = pack(calls.flatMap(({ head, body }) => [head, body]))
      const response = await object.fetch(`https://object${TOGETHER}`, { method: 'POST', body })
      const parts = unpack(new Uint8Array(await response.arrayBuffer()))
      this.#lastSeen = Date.now()
      calls.forEach((call, index) => call.resolve(parts.slice(2 * index, 2 * index + 2)))
    } catch (error) {
      for (const call of calls) call.reject(error)
    }
  }
}

/** The answer that these parts are: what stands above its body, and the body (worker/src/reply.rs). */
function answerOf([head, body]) {
  const [, status, requestId, headers] = /^(\d+)\n(.*)\n([^]*)$/.exec(textOf(head))
  return answer(Number(status), requestId || undefined, headers, body === null ? undefined : textOf(body))
}
