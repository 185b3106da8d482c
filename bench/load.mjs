// The load generator, in a process of its own: raw sockets that are kept open, one request in flight on each. Every
// answer must have the status that was expected; what has another is counted and shown.

import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'

const PRICED = JSON.stringify({ model: 'kimi-k2', usage: { input_tokens: 1200, output_tokens: 800 } })

/** What a connection asks, step by step. `next` is given the answer of the step before; `counts` ends a unit. */
const SCENARIOS = {
  charge: [{ status: 201, counts: true, request: (ask) => ask('POST', '/charges', PRICED) }],
  hold: [
    { status: 201, request: (ask) => ask('POST', '/holds', PRICED) },
    {
      status: 200,
      counts: true,
      request: (ask, answer) => ask('POST', `/holds/${/"hold":\{"id":"([^"]+)"/.exec(answer)[1]}/capture`, PRICED),
    },
  ],
  balance: [{ status: 200, counts: true, request: (ask) => ask('GET', '/balance') }],
  entries: [{ status: 200, counts: true, request: (ask) => ask('GET', '/entries?limit=50') }],
  usage: [{ status: 200, counts: true, request: (ask) => ask('GET', '/usage?group_by=model') }],
  estimate: [{ status: 200, counts: true, request: (_, __, post) => post('/v1/estimate', PRICED) }],
}

/** Answers are short: what is read is kept as text until a whole one is there. */
class Connection {
  constructor(job, share) {
    this.job = job
    this.share = share
    this.steps = SCENARIOS[job.scenario]
    this.step = 0
    this.text = ''
    this.needed = 0
  }

  async open() {
    this.socket = connect({ host: '127.0.0.1', port: this.job.port, noDelay: true })
    this.socket.setEncoding('latin1')
    await new Promise((resolve, reject) => this.socket.once('connect', resolve).once('error', reject))
    this.socket.on('data', (data) => this.read(data))
    this.socket.on('error', (error) => this.fail(error.message))
    this.socket.on('close', () => this.fail('the server closed the connection'))
  }

  send(answer) {
    const { accounts, key } = this.job
    const account = accounts[this.share.turn++ % accounts.length]
    // A hold is captured on the account that it was made on.
    if (this.step === 0) this.account = account
    const write = (method, path, body = '') => {
      this.asked = performance.now()
      this.socket.write(
        `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n` +
          (method === 'GET'
            ? '\r\n'
            : `Content-Type: application/json\r\nIdempotency-Key: ${randomUUID()}\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
        'latin1',
      )
    }
    const ask = (method, path, body) => write(method, `/v1/accounts/${this.account}${path}`, body)
    this.steps[this.step].request(ask, answer, (path, body) => write('POST', path, body))
  }

  read(data) {
    this.text = this.text === '' ? data : this.text + data
    if (this.text.length < this.needed) return
    const head = this.text.indexOf('\r\n\r\n')
    if (head < 0) return
    const body = this.body(head + 4)
    if (body === null) return
    const status = Number(this.text.slice(9, 12))
    this.text = ''
    this.needed = 0
    this.answered(status, body)
  }

  /** The body that begins here, or null if not all of it has arrived. */
  body(start) {
    const head = this.text.slice(0, start)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)
    if (length) {
      this.needed = start + Number(length[1])
      return this.text.length >= this.needed ? this.text.slice(start) : null
    }
    if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return ''
    return this.text.endsWith('\r\n0\r\n\r\n') ? this.text.slice(this.text.indexOf('\r\n', start) + 2) : null
  }

  answered(status, body) {
    const { share } = this
    const step = this.steps[this.step]
    if (status !== step.status) return this.fail(`${status} ${body}`)
    const now = performance.now()
    share.latencies.push(now - this.asked)
    if (step.counts) {
      share.done++
      // What was begun is ended, and counts with the time that it takes.
      if (now >= share.end || share.done >= share.units) return this.finish()
    }
    this.step = (this.step + 1) % this.steps.length
    this.send(body)
  }

  fail(message) {
    if (this.finished) return
    this.share.errors++
    this.share.error ??= message.slice(0, 500)
    this.finish()
  }

  finish() {
    this.finished = true
    this.socket.destroy()
    this.ended()
  }
}

/** Load until so many `units` are done, but no longer than `seconds` and what is then under way takes. */
async function measure(job) {
  const share = { turn: 0, done: 0, errors: 0, error: null, latencies: [], end: Infinity, units: job.units ?? Infinity }
  const connections = Array.from({ length: job.connections }, () => new Connection(job, share))
  await Promise.all(connections.map((connection) => connection.open()))
  const began = performance.now()
  share.end = began + job.seconds * 1000
  await Promise.all(connections.map((connection) => new Promise((resolve) => {
    connection.ended = resolve
    connection.send('')
  })))
  const sorted = share.latencies.sort((left, right) => left - right)
  const at = (part) => sorted[Math.floor(part * (sorted.length - 1))] ?? null
  const { done, errors, error } = share
  const took = (performance.now() - began) / 1000
  return { rate: done / took, took, done, errors, error, p50: at(0.5), p99: at(0.99) }
}

process.on('message', async (job) => {
  try {
    process.send(await measure(job))
  } catch (error) {
    process.send({ rate: 0, done: 0, errors: 1, error: String(error) })
  }
})
