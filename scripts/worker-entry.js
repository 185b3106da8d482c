// The Worker's entry point: hands what arrives to the Rust module, and after a panic starts that afresh. A panic in
// wasm leaves the module's memory in an unknown state, so the next call gets a new module, and every account object
// is rebuilt in it from its journal.

import { WorkerEntrypoint } from 'cloudflare:workers'
import * as rust from './index.js'

const health = rust.__worker_init_state() // Shared with the `worker` crate, whose panic hook sets `criticalError`.

function reviveAfterPanic() {
  if (!health.criticalError) return
  console.log('starting the Rust module afresh after a panic')
  rust.__wbg_reset_state()
  health.criticalError = false
  health.instanceId++
}

const underWay = new Set()
let lastPanic = null

/** What was under way in the module can no more come to an end there, so it is told at once. */
function noticePanic(error) {
  if (!(error instanceof WebAssembly.RuntimeError) || error === lastPanic) return
  lastPanic = error
  console.error('the Rust module trapped', error)
  health.criticalError = true
  for (const giveUp of underWay) giveUp(error)
}

async function guarded(call) {
  reviveAfterPanic()
  const { promise: panic, reject: giveUp } = Promise.withResolvers()
  underWay.add(giveUp)
  try {
    return await Promise.race([call(), panic])
  } catch (error) {
    noticePanic(error)
    throw error
  } finally {
    underWay.delete(giveUp)
  }
}

addEventListener('error', (event) => noticePanic(event.error))

/** A Durable Object class whose instances are rebuilt when the module they lived in is gone. */
function durable(RustClass) {
  class Durable {
    #build
    #object
    #builtIn

    constructor(state, env) {
      this.#build = () => {
        this.#object = new RustClass(state, env)
        this.#builtIn = health.instanceId
      }
      try {
        reviveAfterPanic()
        this.#build()
      } catch (error) {
        health.criticalError = true
        throw error
      }
    }

    static handle(name) {
      Durable.prototype[name] = function (...args) {
        return guarded(() => {
          if (this.#builtIn !== health.instanceId) this.#build()
          return this.#object[name](...args)
        })
      }
    }
  }
  // Only the handlers that the Rust class has: the runtime looks at which are there.
  for (const name of ['fetch', 'alarm', 'webSocketMessage', 'webSocketClose', 'webSocketError']) {
    if (name in RustClass.prototype) Durable.handle(name)
  }
  return Durable
}

export const Account = durable(rust.Account)
export const Directory = durable(rust.Directory)

// What every answer says, whoever made it: it is data, not to be taken for a page, and not to be fetched in the clear.
// It is said here, once, on the way out: a header that is set in wasm, and travels from an object, costs more.
const EVERY_ANSWER = Object.entries({
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Strict-Transport-Security': 'max-age=31536000',
})

function finish(request, response) {
  if (response.status === 101) return response
  const { headers } = response
  for (const [name, value] of EVERY_ANSWER) headers.set(name, value)
  if (!headers.has('X-Request-Id')) headers.set('X-Request-Id', idOf(request)) // A problem names it in its body, too.
  return response
}

/** The id that Cloudflare's edge gave the request, or a random one, as in worker/src/trace.rs. */
function idOf(request) {
  const given = request.headers.get('CF-Ray')
  return given !== null && /^[A-Za-z0-9-]{1,64}$/.test(given) ? given : crypto.randomUUID()
}

/** What is said where the Rust module can say nothing; its own problems are made in worker/src/problem.rs. */
function fault(request, error) {
  const request_id = idOf(request)
  console.error(JSON.stringify({ level: 'error', event: 'fault', request_id, detail: `no answer from the Rust module: ${error}` }))
  const problem = {
    type: 'about:blank',
    title: 'Internal Server Error',
    status: 500,
    code: 'internal',
    detail: 'something failed on our side; it is safe to try again with the same Idempotency-Key',
    request_id,
  }
  const headers = { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store', 'Retry-After': '1', 'X-Request-Id': request_id }
  return Response.json(problem, { status: 500, headers })
}

export default class extends WorkerEntrypoint {
  async fetch(request) {
    try {
      return finish(request, await guarded(() => rust.fetch(request, this.env, this.ctx)))
    } catch (error) {
      return finish(request, fault(request, error))
    }
  }
}
