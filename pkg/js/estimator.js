// The estimator: what `createEstimator` resolves to. There is no rule here; wasm prices, and this carries.

import { EdgeCreditsError } from './error.js'
import { fromTape, toTape } from './tape.js'

const REFUSED = -1
const MICROS_PER_CREDIT = 1e6
const BYTES_PER_NUMBER = 8
/** The most numbers that one call takes: its model, how many meters it has, and all meters with their quantities. */
const most = (meters) => 2 + 2 * meters.length

export class Estimator {
  #wasm
  #memory
  #catalog
  #models // Each with its id, and the rate of each meter that it has one for.
  #modelPlaces
  #meters
  #meterPlaces
  #room
  #numbers = new Float64Array(0) // All of wasm's memory, until that grows.
  #start = 0 // Where calls are written.
  #busy = false

  constructor({ glue, memory }, catalog) {
    const tape = toTape(catalog, 'invalid_catalog')
    this.#wasm = glue.Estimator.open(tape) ?? fromTape(glue.judge(tape))
    this.#memory = memory
    this.#catalog = freeze(fromTape(this.#wasm.catalog()))
    this.#meters = fromTape(glue.meters())
    this.#meterPlaces = new Map(this.#meters.map((meter, place) => [meter, place]))
    this.#models = this.#catalog.models.map(({ id, rates }) => ({
      id,
      rates: this.#meters.map((meter) => rates.find(({ meters }) => meters.includes(meter))),
    }))
    this.#modelPlaces = new Map(this.#models.map(({ id }, place) => [id, place]))
    this.#room = glue.Estimator.room() - most(this.#meters)
    this.#start = this.#wasm.calls() / BYTES_PER_NUMBER
  }

  get catalog() {
    return this.#catalog
  }

  estimate(request) {
    const taken = this.#busy ? 0 : this.#write(request, 0)
    if (taken > 0) {
      const price = this.#wasm.price_calls(1) / BYTES_PER_NUMBER
      const numbers = this.#view()
      if (numbers[price] !== REFUSED) return this.#read(this.#start, price, numbers)
    }
    return fromTape(this.#wasm.estimate(toTape(request)))
  }

  estimateAll(requests) {
    if (!Array.isArray(requests)) {
      throw new EdgeCreditsError({ code: 'invalid_request', detail: 'an array of requests is expected' })
    }
    const estimates = new Array(requests.length)
    for (let first = 0; first < requests.length;) {
      let past = first
      let length = 0
      while (past < requests.length && length < this.#room && !this.#busy) {
        const taken = this.#write(requests[past], length)
        if (taken === 0) break
        length += taken
        past++
      }
      this.#priceAll(requests, first, past, estimates)
      first = past
      // What is no plain call is read by the core, one by one.
      if (first < requests.length && length < this.#room) estimates[first] = this.#inBatch(requests, first++)
    }
    return estimates
  }

  preview(account, request) {
    return fromTape(this.#wasm.preview(toTape(account, 'invalid_account'), toTape(request)))
  }

  affordable(request, meter, credits) {
    return fromTape(this.#wasm.affordable(toTape(request), toTape(meter), toTape(credits)))
  }

  explain(entry) {
    return fromTape(this.#wasm.explain(toTape(entry, 'invalid_entry')))
  }

  #priceAll(requests, first, past, estimates) {
    if (first === past) return
    let price = this.#wasm.price_calls(past - first) / BYTES_PER_NUMBER
    const numbers = this.#view()
    let call = this.#start
    // All prices are read before a request that has none is looked at again: that may run code of the caller's.
    for (let place = first; place < past; place++) {
      const refused = numbers[price] === REFUSED
      estimates[place] = refused ? undefined : this.#read(call, price, numbers)
      call += 2 + 2 * numbers[call + 1]
      price += refused ? 1 : 3 + 2 * numbers[price + 2]
    }
    for (let place = first; place < past; place++) estimates[place] ??= this.#inBatch(requests, place)
  }

  #inBatch(requests, place) {
    try {
      return fromTape(this.#wasm.estimate(toTape(requests[place])))
    } catch (error) {
      if (!(error instanceof EdgeCreditsError)) throw error
      const { code, detail, field } = error
      throw new EdgeCreditsError({ code, detail, field: field ? `[${place}].${field}` : `[${place}]` })
    }
  }

  /**
   * Writes a call for wasm if it is a plain one: an object of nothing but a known model and a usage, and that one of
   * nothing but known meters and numbers. Gives how many numbers that took, or nought if it is something else.
   */
  #write(request, from) {
    if (!isPlain(request)) return 0
    this.#busy = true // For a getter among the fields that comes back to us.
    try {
      for (const name in request) if (name !== 'model' && name !== 'usage') return 0
      const { usage } = request
      const model = this.#modelPlaces.get(request.model)
      if (model === undefined || !isPlain(usage)) return 0
      const numbers = this.#view()
      const start = this.#start + from
      let place = start + 2
      for (const name in usage) {
        const meter = this.#meterPlaces.get(name)
        const quantity = usage[name]
        if (meter === undefined || typeof quantity !== 'number') return 0
        numbers[place++] = meter
        numbers[place++] = quantity
      }
      if (numbers.length === 0) return 0 // Such a getter made wasm's memory grow.
      numbers[start] = model
      numbers[start + 1] = (place - start - 2) / 2
      return place - start
    } finally {
      this.#busy = false
    }
  }

  /** The estimate of a call, from the numbers it went in as and the numbers that came out. */
  #read(call, price, numbers) {
    const { id, rates } = this.#models[numbers[call]]
    const count = numbers[price + 2]
    const lines = new Array(count)
    for (let line = 0, place = price + 3; line < count; line++, place += 2) {
      const meter = numbers[place]
      let pair = call + 2
      while (numbers[pair] !== meter) pair += 2
      const { per, rate } = rates[meter]
      lines[line] = {
        model: id,
        meter: this.#meters[meter],
        quantity: numbers[pair + 1],
        per,
        rate,
        credits: numbers[place + 1] / MICROS_PER_CREDIT,
      }
    }
    return {
      credits: numbers[price] / MICROS_PER_CREDIT,
      lines,
      rounding: numbers[price + 1] / MICROS_PER_CREDIT,
      catalog: this.#catalog.hash,
    }
  }

  #view() {
    if (this.#numbers.length === 0) this.#numbers = new Float64Array(this.#memory.buffer)
    return this.#numbers
  }
}

/** Whether it is an object as JSON makes them, with nothing inherited that could pass for a field. */
function isPlain(value) {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function freeze(value) {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze)
  return value
}
