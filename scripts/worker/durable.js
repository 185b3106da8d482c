// Durable Object classes of Rust objects, which are rebuilt when the module they lived in is gone.

import { Gate } from './gate.js'
import { TOGETHER } from './lane.js'
import { guarded, health, reviveAfterPanic } from './module.js'
import { Asked, IN_OBJECT } from './request.js'

/** What the runtime may call on an object, which `ask` reaches. */
const HANDLERS = {
  /** Reads what a request carries and waits at the gate; then the object does all in one step. */
  async fetch(request) {
    const asked = new Asked(request, IN_OBJECT)
    if (asked.method === 'GET') return this.ask((object) => object.fetch(asked.head, null))
    this.gate.enter()
    try {
      const body = await asked.body()
      if (this.gate.isShut) await this.gate.opens()
      if (asked.path !== TOGETHER) return await this.ask((object) => object.fetch(asked.head, body))
      return new Response(await this.ask((object) => object.fetchTogether(body)))
    } finally {
      this.gate.leave()
    }
  },
  /** The runtime tries an alarm again that throws. */
  async alarm() {
    const failure = await this.ask((object) => object.alarm())
    if (failure !== undefined) throw new Error(failure)
  },
  // A watcher has nothing to say.
  webSocketMessage() {},
  /** Whoever closes waits for the other side to do so too. */
  webSocketClose(socket) {
    try {
      socket.close(1000)
    } catch {
      // It is closed already, or broken off.
    }
  },
  webSocketError() {},
}

/** A class with these handlers, and no others: the runtime looks at which are there. */
export function durable(RustClass, handlers) {
  class Durable {
    #build
    #object
    #builtIn

    constructor(state, env) {
      this.gate = new Gate(state.storage)
      this.#build = () => {
        this.#object = new RustClass(state, env, this.gate)
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

    ask(call) {
      return guarded(() => {
        if (this.#builtIn !== health.instanceId) this.#build()
        return call(this.#object)
      })
    }
  }
  for (const name of handlers) Durable.prototype[name] = HANDLERS[name]
  return Durable
}
