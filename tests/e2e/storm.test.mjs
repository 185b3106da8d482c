// A storm of bad input: valid requests to every route with a few things wrong each. Nothing that anyone sends is a
// fault of ours; every refusal is a problem document; and what is refused changes nothing. SEED=n sends another storm.

import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, test } from 'node:test'
import { randomness } from '../crash/random.mjs'
import { client, serve } from './harness.mjs'
import { SERVICE_KEY, core, costing, lawful, opened } from './support.mjs'

const SEED = Number(process.env.SEED ?? 20250310)
const REQUESTS = Number(process.env.REQUESTS ?? 4000)
const LONGEST_MS = 15_000 * Math.max(1, REQUESTS / 4000)
const LANES = 8
const READ_EVERY = 20
const NINE = '2025-03-10T09:00:00Z'

let server, api
before(async () => {
  server = await serve()
  api = client(server, { key: SERVICE_KEY })
})
after(() => server?.stop())

const CALLS = [
  ['GET', '/health'], ['GET', '/v1/catalog'], ['POST', '/v1/estimate', { ...costing(3), usage_max: { output_tokens: 500 } }],
  ['GET', '/v1/memorial-wall'], ['POST', '/v1/webhooks/stripe', { id: 'evt_1', type: 'checkout.session.completed', data: { object: {} } }],
  ['PUT', '/v1/accounts/$', { plan: 'starter', time_zone: 'Europe/Paris', perks: ['early_bird'], since: '2025-01-31T00:00:00Z' }],
  ['GET', '/v1/accounts/$'], ['PATCH', '/v1/accounts/$', { time_zone: 'UTC', display_name: 'Ada' }],
  ['PUT', '/v1/accounts/$/plan', { plan: 'starter', effective: 'period_end', dry_run: true }],
  ['PUT', '/v1/accounts/$/perks/early_bird'], ['DELETE', '/v1/accounts/$/perks/early_bird'], ['GET', '/v1/accounts/$/balance?at=2025-03-10T08:30:00Z'],
  ['POST', '/v1/accounts/$/estimate', { items: [costing(1), { credits: 0.5, description: 'upload' }] }],
  ['POST', '/v1/accounts/$/holds', { ...core(2), ttl_seconds: 60 }], ['GET', '/v1/accounts/$/holds?status=held&limit=3'], ['GET', '/v1/accounts/$/holds/hold_4'],
  ['POST', '/v1/accounts/$/holds/hold_4/capture', { ...costing(2), on_excess: 'owe' }], ['POST', '/v1/accounts/$/holds/hold_4/release', {}],
  ['POST', '/v1/accounts/$/holds/hold_4/extend', { ttl_seconds: 900 }], ['POST', '/v1/accounts/$/charges', { ...costing(1), on_excess: 'forgive' }],
  ['POST', '/v1/accounts/$/charges', { model: 'gpt-4o', usage_format: 'openai', usage: { prompt_tokens: 9, prompt_tokens_details: { cached_tokens: 3 }, completion_tokens: 4 } }],
  ['POST', '/v1/accounts/$/charges/charge_5/refund', { credits: 0.25 }], ['GET', '/v1/accounts/$/grants?limit=2'],
  ['POST', '/v1/accounts/$/grants', { kind: 'bonus', credits: 5.5, priority: 3, scope: ['video'], effective_at: NINE, expires_at: '2025-04-01T00:00:00Z' }],
  ['POST', '/v1/accounts/$/grants/grant_3/void', {}], ['GET', '/v1/accounts/$/entries?limit=5&order=asc&kind=held&from=2025-03-01T00:00:00Z'],
  ['GET', '/v1/accounts/$/entries/verify'], ['GET', '/v1/accounts/$/usage?group_by=day&to=2025-03-11T00:00:00Z'], ['GET', '/v1/accounts/$/entitlements'],
  ['POST', '/v1/accounts/$/entitlements/file_uploads/use', { quantity: 2 }], ['POST', '/v1/accounts/$/entitlements/file_uploads/return', { quantity: 1 }],
  ['GET', '/v1/accounts/$/invitation'], ['POST', '/v1/accounts/$/invitations/redeem', { code: 'ABCDEFGH' }], ['GET', '/v1/accounts/$/live'],
]

const ABSURD = [
  null, true, '', 'x', [], {}, [[]], -1, 0.1, 1e9, 1e15, 2 ** 53, 1e308, -0, 4294967296, 1e-7, 'kimi-k2', '1', '\u0000', '\ud800', 'é'.repeat(300), NINE, '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z', { credits: 1 }, [1, 2], Number.NaN,
]
const SEGMENTS = [
  '%', '%zz', '%2e%2e', '..', '.', '', '%00', 'a%2fb', '%ff%fe', 'é', '%C3%A9', 'x'.repeat(300), 'hold_0', 'hold_-1', 'hold_99999999999999999999', 'charge_1', 'HOLD_4', ';a=b', '*', '%25',
  'constructor', '__proto__', "'%20OR%201=1--",
]
const QUERIES = [
  '?', '?x', '?limit=0', '?limit=201', '?limit=1e2', '?limit=-1', '?limit=%EF%BC%91', '?limit=5&limit=5', '?cursor=', '?cursor=d', '?cursor=a99999999999999999999', '?cursor=g1', '?cursor=g1.x',
  '?cursor=%00', '?cursor=h-1', '?order=up', '?kind=nothing', '?from=yesterday', '?from=9999-12-31T23:59:59Z', '?to=0000-01-01T00:00:00Z', '?at=', '?at=2025-03-10T09:00:00', '?at=9998-12-31T23:59:59Z',
  '?at=0000-01-01T00:00:00Z', '?group_by=', '?group_by=month', '?status=open', '?%zz', '?%00=%00', '?&&&', `?model=${'y'.repeat(5000)}`, '?model=%25%27', '?=', '?from=2025-03-10T09:00:00%2B99:00', '?cursor=v1',
]
const HEADERS = [
  ['content-type', ['text/plain', '', 'application/json; charset=utf-16', 'application/x-www-form-urlencoded', 'application/JSON', ';', 'a/b/c']],
  ['authorization', ['', 'Bearer', 'Bearer ', 'Basic ZGV2', 'Bearer a.b.c', 'Bearer eyJhbGciOiJub25lIn0.e30.', `Bearer ${'k'.repeat(6000)}`, `bearer ${SERVICE_KEY}`, `Bearer ${SERVICE_KEY}x`, 'Bearer \u00ff']],
  ['idempotency-key', ['', ' ', 'k'.repeat(256), '\u00e9', 'a\tb', null]],
  ['test-clock', ['', 'now', '2025-03-10', '2025-02-30T00:00:00Z', '2025-03-10T09:00:00+25:00', '-1', '1e9', '9999-12-31T23:59:59Z', '\u00e9']],
  ['if-none-match', ['"', '*', 'W/', ',,,,']], ['origin', ['null', 'http://\u00e9', '']], ['accept', ['image/png']], ['content-encoding', ['gzip']],
  ['range', ['bytes=0-1']], ['x-http-method-override', ['DELETE']], ['inject-fault', ['panic']],
]

/** All places in a tree, as the object and the name by which a value hangs there. */
function places(tree, found = []) {
  if (tree && typeof tree === 'object') {
    for (const name of Object.keys(tree)) {
      found.push([tree, name])
      places(tree[name], found)
    }
  }
  return found
}

/** The text of a body with something wrong. */
function spoiltBody(body, { below, pick }) {
  const tree = structuredClone(body ?? {})
  let text = JSON.stringify(tree)
  const spoil = {
    change() {
      for (let times = 1 + below(2); times > 0; times -= 1) {
        const [owner, name] = pick(places(tree)) ?? [tree, 'x']
        const change = below(5)
        if (change === 0) delete owner[name]
        else if (change === 1) owner[pick(['model', 'credits', 'plan', 'usage', 'items', 'zz', ''])] = pick(ABSURD)
        else if (change === 2) owner[name] = [owner[name]]
        else owner[name] = pick(ABSURD)
      }
      return JSON.stringify(tree)
    },
    number: () => text.replace(/[\d.]+/, pick(['1e400', '-1e400', '9'.repeat(400), `0.${'0'.repeat(400)}1`, '1e-400', '-0', '01', '+1', '0x10', '1.', '.5', 'NaN', '1e999999999', '9007199254740993', '999999999.9999999'])),
    repeat: () => text.replace('{', `{"${pick(['model', 'plan', 'credits', 'zz'])}":1,"${pick(['model', 'plan', 'credits', 'zz'])}":1,`),
    repeatSame: () => text.replace(/\{("\w+":)/, '{$11,$1'),
    deep: () => pick(['[', '{"a":']).repeat(pick([15, 17, 200, 9000])),
    long: () => JSON.stringify({ ...tree, [pick(['description', 'zz', 'display_name'])]: 'x'.repeat(pick([300, 60_000, 70_000])) }),
    many: () => JSON.stringify({ items: Array.from({ length: pick([1000, 1001]) }, () => ({ model: 'bark', usage: {} })) }),
    nothing: () => pick(['', 'null', '[]', '"x"', '0', ' ', '\ufeff{}', '{', '{}{}', 'true', '\u0000']),
    bytes() {
      const bytes = Buffer.from(text)
      for (let times = 1 + below(3); times > 0; times -= 1) bytes[below(bytes.length)] = below(256)
      return bytes
    },
    cut: () => text.slice(0, below(text.length)),
    insert: () => text.slice(0, below(text.length)) + pick(['"', '\\', '\\u12', '\\ud800', '//', ',', '\u0007', '}']) + text.slice(below(text.length)),
  }
  return spoil[pick(['change', 'change', 'change', ...Object.keys(spoil)])]()
}

/** A request with something wrong with it, and often more than one thing. */
function spoilt(random, account, step) {
  const { below, pick, chance } = random
  let [method, path, body] = pick(CALLS)
  path = path.replace('$', account)
  const headers = { authorization: `Bearer ${SERVICE_KEY}`, 'test-clock': NINE, 'idempotency-key': `storm-${step}` }
  let content = body === undefined ? undefined : JSON.stringify(body)
  const wrong = below(10)
  if (wrong < 5 && (body || chance(0.1))) content = spoiltBody(body, random)
  if (wrong === 5 || chance(0.08)) {
    const [name, values] = pick(HEADERS)
    const value = pick(values)
    if (value === null) delete headers[name]
    else headers[name] = value
  }
  if (wrong === 6 || chance(0.03)) path = path.split('?')[0] + pick(QUERIES)
  if (wrong === 7 || chance(0.03)) {
    const segments = path.split('/')
    const place = 1 + below(segments.length - 1)
    if (chance(0.2)) segments.splice(place, 0, pick(SEGMENTS))
    else segments[place] = pick(SEGMENTS)
    path = segments.join('/')
  }
  if (wrong === 8) method = pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])
  if (wrong === 9) path = path.replace(/(hold|charge|grant)_\d+/, () => `${pick(['hold', 'charge', 'grant', 'daily'])}_${pick([0, 1, 2, 3, 4, 5, 9, 10 ** 17])}`)
  if (content !== undefined) {
    headers['content-type'] ??= 'application/json'
    headers['content-length'] = Buffer.byteLength(content)
  }
  // What is no legal HTTP never reaches the Worker; everything else goes as it is.
  return { method, path: path.replace(/[^\x21-\x7e]/g, encodeURIComponent), headers, content }
}

/** Sends it byte for byte, which `fetch` would not. */
function send({ method, path, headers, content }) {
  const { hostname, port } = new URL(server.url)
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ hostname, port, method, path, headers }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode, type: response.headers['content-type'] ?? '', text: Buffer.concat(chunks).toString() }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(content)
  })
}

function decent({ status, type, text }, { method }) {
  assert.ok(status < 500, `${status} ${text}`)
  if (status < 400 || method === 'HEAD') return
  assert.match(type, /^application\/problem\+json/)
  const problem = JSON.parse(text)
  assert.equal(problem.status, status)
  assert.match(problem.code, /^[a-z][a-z_]+$/)
  for (const member of ['type', 'title', 'detail']) assert.ok(typeof problem[member] === 'string' && problem[member] !== '', `${member} of ${text}`)
}

test('whatever is sent, it is answered or refused; and what is refused changes nothing', async (context) => {
  const outcomes = {}
  let sent = 0
  const end = Date.now() + LONGEST_MS
  await Promise.all(Array.from({ length: LANES }, async (_, lane) => {
    const random = randomness(SEED + lane)
    const account = await opened(api, NINE, { plan: 'starter' })
    await account.hold(costing(10))
    await account.charge(costing(5))
    const look = async () => JSON.stringify([await account.balance(), (await account.read('/entries?limit=1')).entries, await account.read('/entitlements')])
    let [seen, hasChanged] = [await look(), false]
    for (let step = 0; sent < REQUESTS && Date.now() < end; step += 1) {
      sent += 1
      const asked = spoilt(random, account.id, step)
      const told = () => `seed ${SEED}, lane ${lane}, step ${step}: ${JSON.stringify({ ...asked, content: String(asked.content).slice(0, 500) })}`
      const response = await send(asked).catch((error) => assert.fail(`${told()}: ${error.message}`))
      try {
        decent(response, asked)
        outcomes[response.status] = (outcomes[response.status] ?? 0) + 1
        hasChanged ||= response.status < 300 && !['GET', 'HEAD', 'OPTIONS'].includes(asked.method)
        if (step % READ_EVERY === READ_EVERY - 1) {
          const now = await look()
          if (!hasChanged) assert.equal(now, seen, 'what was refused changed something')
          ;[seen, hasChanged] = [now, false]
        }
      } catch (error) {
        error.message = `${told()}\n${error.message}`
        throw error
      }
    }
    await lawful(account)
  }))
  context.diagnostic(`${sent} requests: ${JSON.stringify(outcomes)}`)
  assert.ok((outcomes[400] ?? 0) > sent / 5, 'most of them are wrong')
})
