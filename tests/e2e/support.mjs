// What the end-to-end tests share: accounts under unique names, and assertions that say what was answered.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'

export const SERVICE_KEY = 'dev-service-key'

export const unique = (prefix = 'account') => `${prefix}-${randomUUID()}`

/** A call of a model that no perk makes free, at exactly so many whole credits. */
export const costing = (credits) => ({ model: 'gpt-oss-120b', usage: { input_tokens: credits * 5000 } })

/** A call of an early bird's core model, at exactly so many whole credits. */
export const core = (credits) => ({ model: 'kimi-k2', usage: { input_tokens: credits * 2500 } })

/** The time so many seconds after a clock. */
export const after = (clock, seconds) => new Date(Date.parse(clock) + Math.round(seconds * 1000)).toISOString()

const micros = (credits) => Math.round(credits * 1e6)

/** Adds credits without the errors of floating point. */
export const sum = (list, pick = (one) => one) => list.reduce((total, one) => total + micros(pick(one)), 0) / 1e6

export const header = ({ headers }, name) =>
  (typeof headers.get === 'function' ? headers.get(name) : headers[name.toLowerCase()]) ?? null

/** A request as it stands: the body is sent byte for byte, and nothing is added but what is asked for. */
export async function send(server, method, path, { body, headers = {}, key, type = 'application/json' } = {}) {
  const response = await fetch(new URL(path, server.url), {
    method,
    body,
    headers: {
      ...(body === undefined || type === null ? {} : { 'Content-Type': type }),
      ...(key ? { Authorization: `Bearer ${key}` } : {}),
      ...headers,
    },
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, body: parsed(text) }
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** The body of an answer with this status. */
export function answered(response, status = 200) {
  assert.equal(response.status, status, `expected ${status}, got ${response.status}: ${JSON.stringify(response.body)}`)
  return response.body
}

/** The body of a refusal: problem details with this status, one of these codes, and these members. */
export function refused(response, status, codes, members = {}) {
  const body = answered(response, status)
  assert.match(header(response, 'content-type') ?? '', /^application\/problem\+json/)
  for (const member of ['type', 'title', 'code', 'detail']) {
    assert.equal(typeof body?.[member], 'string', `a problem has a \`${member}\`: ${JSON.stringify(body)}`)
  }
  assert.equal(body.status, status)
  if (codes) assert.ok([codes].flat().includes(body.code), `expected ${codes}, got ${JSON.stringify(body)}`)
  matches(body, members)
  return body
}

/** Everything that is expected is there. Objects may have more members; lists may not have more items. */
export function matches(actual, expected, where = 'it') {
  const told = () => `${where}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`
  if (expected === null || typeof expected !== 'object') {
    assert.equal(actual, expected, told())
  } else if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual) && actual.length === expected.length, told())
    expected.forEach((item, index) => matches(actual[index], item, `${where}[${index}]`))
  } else {
    assert.ok(actual !== null && typeof actual === 'object', told())
    for (const [key, value] of Object.entries(expected)) matches(actual[key], value, `${where}.${key}`)
  }
}

/** The same instant, written in UTC. */
export function sameTime(actual, expected, where = 'time') {
  assert.match(String(actual), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/, `${where}: ${actual}`)
  assert.equal(new Date(actual).toISOString(), new Date(expected).toISOString(), where)
}

/** How much went out of which grant. */
export const byGrant = (draws) => draws.reduce((all, { grant, credits }) => ({ ...all, [grant]: sum([all[grant] ?? 0, credits]) }), {})

/** An account as its caller sees it. `at` gives the same account at another time. */
export class Account {
  constructor(api, id, clock) {
    Object.assign(this, { api, id, clock, caller: clock ? api.at(clock) : api })
  }

  at = (clock) => new Account(this.api, this.id, clock)
  path = (rest = '') => `/v1/accounts/${encodeURIComponent(this.id)}${rest}`

  get = (rest) => this.caller.get(this.path(rest))
  put = (rest, body) => this.caller.put(this.path(rest), body)
  patch = (body) => this.caller.patch(this.path(), body)
  delete = (rest) => this.caller.del(this.path(rest))
  post = (rest, body = {}, options = {}) => this.caller.post(this.path(rest), body, options)

  read = async (rest = '') => answered(await this.get(rest))
  balance = () => this.read('/balance')
  figures = async () => figures(await this.balance())
  charge = async (request) => answered(await this.post('/charges', request), 201)
  hold = async (request) => answered(await this.post('/holds', request), 201)
  capture = async (hold, request) => answered(await this.post(`/holds/${hold}/capture`, request))
  release = async (hold) => answered(await this.post(`/holds/${hold}/release`))
  refund = async (charge, body = {}) => answered(await this.post(`/charges/${charge}/refund`, body))
  grant = async (grant) => answered(await this.post('/grants', grant), 201)
  plan = async (plan, options = {}) => answered(await this.put('/plan', { plan, ...options }))

  /** The whole journal, oldest first. */
  entries = async (query = '') => {
    const all = []
    for (let cursor = null; ; ) {
      const page = await this.read(`/entries?order=asc&limit=200${query}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
      all.push(...page.entries)
      cursor = page.next_cursor
      if (cursor === null) return all
    }
  }
}

export const figures = ({ available, held, owed }) => ({ available, held, owed })

/** A new account under a name of its own. */
export async function opened(api, clock, opening = { plan: 'free' }) {
  const account = new Account(api, unique(), clock)
  answered(await account.put('', opening), 201)
  return account
}

/** The laws of a balance. */
export function lawfulBalance(balance) {
  const now = Date.parse(balance.as_of)
  const inForce = ({ effective_at, expires_at }) =>
    Date.parse(effective_at) <= now && (expires_at === null || expires_at === undefined || now < Date.parse(expires_at))
  for (const grant of balance.grants) {
    for (const figure of ['credits', 'remaining', 'held']) assert.ok(grant[figure] >= 0, `${figure} of ${JSON.stringify(grant)}`)
    assert.ok(sum([grant.remaining, grant.held]) <= grant.credits, `more left than was given: ${JSON.stringify(grant)}`)
  }
  for (const figure of ['available', 'held', 'owed']) assert.ok(balance[figure] >= 0, `${figure} is negative: ${JSON.stringify(balance)}`)
  assert.equal(sum(balance.grants.filter(inForce), (grant) => grant.remaining), balance.available, 'available is what remains of the grants in force')
  assert.equal(sum(balance.grants, (grant) => grant.held), balance.held, 'held is what is held of the grants')
}

/** The laws of a journal: each entry changes what the one before it left. */
export function lawfulJournal(entries) {
  let available = 0
  let seq = -Infinity
  let time = -Infinity
  for (const entry of entries) {
    assert.ok(entry.seq > seq, 'the sequence rises')
    assert.ok(Date.parse(entry.at) >= time, 'the account\'s clock never runs backwards')
    available = sum([available, entry.credits])
    assert.equal(entry.balance.available, available, `the balance after ${JSON.stringify(entry)}`)
    assert.ok(available >= 0 && entry.balance.held >= 0 && entry.balance.owed >= 0, `never negative: ${JSON.stringify(entry)}`)
    seq = entry.seq
    time = Date.parse(entry.at)
  }
  return available
}

/** The laws of a charge. */
export function lawfulCharge(charge) {
  const price = sum([charge.credits, charge.forgiven])
  assert.equal(sum([...charge.draws.map((draw) => draw.credits), charge.owed]), charge.credits, `draws + owed: ${JSON.stringify(charge)}`)
  assert.equal(sum([...charge.lines.filter((line) => charge.waived || !line.waived).map((line) => line.credits), charge.rounding]),
    charge.waived ? charge.list_credits : price, `lines + rounding: ${JSON.stringify(charge)}`)
  if (charge.waived) assert.equal(charge.credits, 0)
}

/** Right after a command: the balance, the journal, and the two together. */
export async function lawful(account) {
  const [balance, entries] = [await account.balance(), await account.entries()]
  lawfulBalance(balance)
  assert.equal(lawfulJournal(entries), balance.available, 'the journal adds up to what is available')
  matches(entries.at(-1).balance, figures(balance), 'the last entry\'s balance')
  return balance
}
