// What Edge Credits is measured against: charges and holds on a SQLite-backed Durable Object as a competent Workers
// developer would write them in an afternoon. A balance row, a history table, a table of idempotency keys, and the
// documented patterns: one object an account, synchronous SQL, checks before writes, no transaction of its own.
//
// It does much less: no grants, no expiry, no time zones, no plans, no journal to replay, no exact prices.

import { DurableObject } from 'cloudflare:workers'
import { BadRequest, price } from './prices.js'

const json = (body, status = 200) => Response.json(body, { status })
const problem = (status, code, detail) => json({ status, code, detail }, status)

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url)
    if (pathname === '/health') return json({ status: 'ok' })
    try {
      if (pathname === '/v1/estimate') return json(price(await request.json()))
    } catch (error) {
      return refusal(error)
    }
    const [, version, accounts, id] = pathname.split('/')
    if (version !== 'v1' || accounts !== 'accounts' || !id) return problem(404, 'not_found', 'no such route')
    const authorization = request.headers.get('Authorization')
    if (authorization !== `Bearer ${env.SERVICE_KEYS}`) return problem(401, 'unauthenticated', 'not a service key')
    return env.ACCOUNTS.get(env.ACCOUNTS.idFromName(id)).fetch(request)
  },
}

function refusal(error) {
  if (error instanceof BadRequest || error instanceof SyntaxError) return problem(400, 'invalid_request', error.message)
  throw error
}

export class Account extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env)
    this.sql = ctx.storage.sql
    this.sql.exec(`
      CREATE TABLE IF NOT EXISTS balance (id INTEGER PRIMARY KEY, credits INTEGER NOT NULL, held INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS history (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, model TEXT, lines TEXT,
        credits INTEGER NOT NULL, balance INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS holds (
        id TEXT PRIMARY KEY, credits INTEGER NOT NULL, status TEXT NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS idempotency_keys (
        key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, response TEXT NOT NULL) WITHOUT ROWID;
    `)
  }

  async fetch(request) {
    const { pathname } = new URL(request.url)
    const [, , , account, what, id, verb] = pathname.split('/')
    const text = request.method === 'GET' ? '' : await request.text()
    try {
      if (request.method === 'PUT') return this.open(account)
      if (request.method === 'GET' && what === 'balance') return this.balance(account)
      if (request.method !== 'POST') return problem(404, 'not_found', 'no such route')
      return this.once(request.headers.get('Idempotency-Key'), `${pathname} ${text}`, () => {
        const body = JSON.parse(text)
        if (what === 'charges') return this.charge(body)
        if (what === 'grants') return this.grant(body)
        if (what === 'holds' && verb === 'capture') return this.capture(id, body)
        if (what === 'holds') return this.hold(body)
        throw new BadRequest('no such call')
      })
    } catch (error) {
      return refusal(error)
    }
  }

  /** Runs a command unless its key was used: then the first answer is given again. */
  once(key, request, command) {
    if (!key) return problem(400, 'idempotency_key_required', 'the header Idempotency-Key is missing')
    const [known] = this.sql.exec('SELECT request, status, response FROM idempotency_keys WHERE key = ?', key)
    if (known) {
      if (known.request !== request) return problem(422, 'idempotency_key_reused', 'the key was used otherwise')
      return new Response(known.response, { status: known.status, headers: { 'Content-Type': 'application/json' } })
    }
    const { status, body } = command()
    if (status >= 400) return json(body, status)
    const response = JSON.stringify(body)
    this.sql.exec('INSERT INTO idempotency_keys VALUES (?, ?, ?, ?)', key, request, status, response)
    return new Response(response, { status, headers: { 'Content-Type': 'application/json' } })
  }

  open(account) {
    this.sql.exec('INSERT INTO balance VALUES (1, 0, 0) ON CONFLICT DO NOTHING')
    return json({ account }, 201)
  }

  balance(account) {
    const { credits, held } = this.funds()
    return json({ account, as_of: new Date().toISOString(), available: credits, held })
  }

  grant({ credits }) {
    const { credits: before, held } = this.funds()
    this.sql.exec('UPDATE balance SET credits = credits + ? WHERE id = 1', credits)
    this.record('granted', null, null, credits, before + credits)
    return { status: 201, body: { balance: { available: before + credits, held } } }
  }

  charge(body) {
    const { credits, lines, rounding } = price(body)
    const { credits: before, held } = this.funds()
    if (credits > before) return insufficient(credits, before)
    const available = before - credits
    const at = new Date()
    this.sql.exec('UPDATE balance SET credits = ? WHERE id = 1', available)
    const id = this.record('charged', body.model, lines, -credits, available, at)
    const charge = { id, credits, lines, rounding, at: at.toISOString() }
    return { status: 201, body: { charge, balance: { available, held } } }
  }

  hold(body) {
    const { credits, lines, rounding } = price(body)
    const { credits: before, held: heldBefore } = this.funds()
    if (credits > before) return insufficient(credits, before)
    const [available, held] = [before - credits, heldBefore + credits]
    const id = crypto.randomUUID()
    const expires = new Date(Date.now() + 900_000)
    this.sql.exec('UPDATE balance SET credits = ?, held = ? WHERE id = 1', available, held)
    this.sql.exec('INSERT INTO holds VALUES (?, ?, ?, ?)', id, credits, 'held', expires.getTime())
    const hold = { id, status: 'held', credits, lines, rounding, expires_at: expires.toISOString() }
    return { status: 201, body: { hold, balance: { available, held } } }
  }

  capture(id, body) {
    const [hold] = this.sql.exec('SELECT credits, status FROM holds WHERE id = ?', id)
    if (!hold) return { status: 404, body: { code: 'hold_not_found' } }
    if (hold.status !== 'held') return { status: 409, body: { code: 'hold_not_open' } }
    const { credits, lines, rounding } = price(body)
    const before = this.funds()
    const available = before.credits + hold.credits - credits
    const held = before.held - hold.credits
    if (available < 0) return insufficient(credits, before.credits + hold.credits)
    const at = new Date()
    this.sql.exec('UPDATE balance SET credits = ?, held = ? WHERE id = 1', available, held)
    this.sql.exec("UPDATE holds SET status = 'captured' WHERE id = ?", id)
    const charge = this.record('captured', body.model, lines, -credits, available, at)
    return {
      status: 200,
      body: { charge: { id: charge, credits, lines, rounding, at: at.toISOString() }, balance: { available, held } },
    }
  }

  funds() {
    const [funds] = this.sql.exec('SELECT credits, held FROM balance WHERE id = 1')
    if (!funds) throw new BadRequest('there is no such account')
    return funds
  }

  record(kind, model, lines, credits, balance, at = new Date()) {
    const [{ id }] = this.sql.exec(
      'INSERT INTO history (at, kind, model, lines, credits, balance) VALUES (?, ?, ?, ?, ?, ?) RETURNING id',
      at.getTime(), kind, model, lines && JSON.stringify(lines), credits, balance,
    )
    return id
  }
}

function insufficient(required, available) {
  return { status: 402, body: { code: 'insufficient_credits', required, available } }
}
